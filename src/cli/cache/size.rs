//! A number of bytes on the command line.

use std::str::FromStr;

/// Written as packtrain writes sizes, `500MiB`, or short, `20G`, which is the same as `20GiB`; `20GB` has powers of 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(u64);

impl Size {
    pub(super) fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let unknown = || format!("`{text}` is no size; write 500MiB or 20G");
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
        let number: f64 = number.parse().map_err(|_| unknown())?;
        let bytes = number * factor(unit.trim()).ok_or_else(unknown)?;
        Ok(Size(bytes as u64))
    }
}

fn factor(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_uppercase();
    let (prefix, base) = match unit.strip_suffix("IB") {
        Some(prefix) => (prefix, 1024.0_f64),
        None => unit.strip_suffix('B').map_or((unit.as_str(), 1024.0), |prefix| (prefix, 1000.0)),
    };
    let exponent = ["", "K", "M", "G", "T"].iter().position(|known| *known == prefix)?;
    Some(base.powi(exponent as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_several_ways() {
        let sizes = ["0", "512", "512B", "1.5K", "500MiB", "20 G", "20GB", "1t"].map(|text| text.parse::<Size>().map(Size::bytes));
        let expected = [0, 512, 512, 1536, 524_288_000, 21_474_836_480, 20_000_000_000, 1_099_511_627_776];
        assert_eq!(sizes, expected.map(Ok));
    }

    #[test]
    fn what_is_no_size_is_told() {
        for text in ["", "G", "-1G", "1X", "1.2.3", "1iB5"] {
            assert_eq!(text.parse::<Size>(), Err(format!("`{text}` is no size; write 500MiB or 20G")));
        }
    }
}
