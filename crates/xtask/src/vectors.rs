//! `cargo xtask vectors`: the files are what their README says, before anybody runs them.

use std::path::Path;

/// Loads every file, which checks its structure, and looks for its schema.
pub(crate) fn lint() -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
    let files = cvv2_vectors::load(&folder).map_err(|e| e.to_string())?;
    for file in &files {
        let stem = file.path().file_stem().unwrap_or_default().to_string_lossy();
        let schema = folder.join(format!("schema/{stem}_schema.json"));
        if !schema.is_file() {
            return Err(format!("{} has no schema {}", file.path().display(), schema.display()));
        }
        println!("{stem}: {} as described", file.algorithm());
    }
    Ok(())
}
