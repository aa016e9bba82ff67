//! The file with all figures.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::Result;

/// Where all figures go, if that was asked for.
pub(crate) struct JsonFile(Option<File>);

impl JsonFile {
    /// Opens it before the run: a minute later is too late to learn that it cannot be written.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(JsonFile(path.map(open).transpose()?))
    }

    pub(crate) fn write(self, run: &impl Serialize) -> Result<()> {
        let Some(file) = self.0 else {
            return Ok(());
        };
        // A pipe or a terminal holds nothing that could be cut off.
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        let mut file = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, run)?;
        file.write_all(b"\n")?;
        Ok(file.flush()?)
    }
}
