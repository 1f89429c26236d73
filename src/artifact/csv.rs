//! Comma-separated values, quoted where a field needs it (RFC 4180).

use std::io::{self, Write};

/// Writes rows of fields, a line each. Rows may differ in length.
pub fn write_csv<R, F>(out: impl Write, rows: impl IntoIterator<Item = R>) -> io::Result<()>
where
    R: IntoIterator<Item = F>,
    F: AsRef<[u8]>,
{
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(out);
    for row in rows {
        writer.write_record(row)?;
    }
    writer.flush()
}
