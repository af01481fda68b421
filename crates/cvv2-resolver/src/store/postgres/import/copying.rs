//! Rows on their way into a table by COPY in its binary form.
//!
//! The driver's own writer sends four KiB at a time, which costs a tenth of an import.

use std::io::{self, Write};

use postgres::CopyInWriter;

use crate::store::StoreError;
use crate::store::postgres::error::Failure;

/// What is sent at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Rows of three columns.
pub(super) struct Copying<'t> {
    into: CopyInWriter<'t>,
    chunk: Vec<u8>,
}

impl<'t> Copying<'t> {
    pub(super) fn new(into: CopyInWriter<'t>) -> Self {
        let mut chunk = Vec::with_capacity(2 * CHUNK);
        // Signature, no flags, no further header: PostgreSQL 15, COPY, section "Binary Format".
        chunk.extend_from_slice(b"PGCOPY\n\xFF\r\n\0");
        chunk.extend_from_slice(&[0; 8]);
        Self { into, chunk }
    }

    /// Adds a row. A column of text is its UTF-8, one of bytes is what it is.
    pub(super) fn push(&mut self, columns: [&[u8]; 3]) -> Result<(), Failure> {
        self.chunk.extend_from_slice(&3_i16.to_be_bytes());
        for column in columns {
            let len = i32::try_from(column.len()).expect("rows are shorter than 64 KiB");
            self.chunk.extend_from_slice(&len.to_be_bytes());
            self.chunk.extend_from_slice(column);
        }
        if self.chunk.len() >= CHUNK {
            self.into.write_all(&self.chunk).map_err(failure)?;
            self.chunk.clear();
        }
        Ok(())
    }

    /// Ends the copy; without that, it is undone.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.chunk.extend_from_slice(&(-1_i16).to_be_bytes());
        self.into.write_all(&self.chunk).map_err(failure)?;
        self.into.finish()?;
        Ok(())
    }
}

/// The database's error, which the writer has wrapped.
fn failure(error: io::Error) -> Failure {
    match error.downcast::<postgres::Error>() {
        Ok(error) => error.into(),
        Err(error) => StoreError::from(error).into(),
    }
}
