//! How long the disk takes to have a record.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

/// The median of appending as much as an audit record has, with `fdatasync`.
pub(crate) fn measure(home: &Path) -> Result<Duration, Failure> {
    let path = home.join("disk");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        file.write_all(&[b'.'; 640])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
