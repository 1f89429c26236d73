//! The characters that bars, curves and marks are drawn with: blocks where the terminal's locale has them, else ASCII.

use std::env;

/// A set of characters, each one column wide.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Glyphs {
    /// From low to high.
    levels: [char; 8],
    done: char,
    open: char,
    pub(super) finished: char,
    pub(super) reused: char,
    pub(super) failed: char,
    pub(super) cut: char,
}

impl Glyphs {
    pub(super) const UNICODE: Glyphs = Glyphs {
        levels: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        done: '━',
        open: '─',
        finished: '✓',
        reused: '↺',
        failed: '✗',
        cut: '…',
    };
    pub(super) const ASCII: Glyphs = Glyphs {
        levels: ['.', ':', '-', '=', '+', '*', '#', '@'],
        done: '#',
        open: '.',
        finished: '+',
        reused: '=',
        failed: 'x',
        cut: '~',
    };

    /// Those that the environment's locale has.
    #[expect(clippy::disallowed_methods, reason = "what a terminal can show is said by its environment")]
    pub(super) fn of_locale() -> &'static Glyphs {
        let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
        if set.is_some_and(|locale| is_utf8(&locale)) { &Glyphs::UNICODE } else { &Glyphs::ASCII }
    }

    /// How a series of numbers went, low to high; of more than `width`, evenly chosen ones.
    pub(super) fn sparkline(&self, values: &[f64], width: usize) -> String {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let shown = values.len().min(width);
        let value_at = |index: usize| if shown < 2 { values[values.len() - 1] } else { values[index * (values.len() - 1) / (shown - 1)] };
        let level = |value: f64| match (value - low) / (high - low) {
            _ if !value.is_finite() => ' ',
            share if share.is_finite() => self.levels[((share * self.levels.len() as f64) as usize).min(self.levels.len() - 1)],
            _ => self.levels[self.levels.len() / 2],
        };
        (0..shown).map(value_at).map(level).collect()
    }

    /// A bar of this width, filled up to a share between 0 and 1.
    pub(super) fn bar(&self, share: f64, width: usize) -> (String, String) {
        let done = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
        (self.done.to_string().repeat(done), self.open.to_string().repeat(width - done))
    }
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_shows_every_value_or_evenly_chosen_ones_and_leaves_out_what_is_no_number() {
        let sparkline = |values: &[f64]| Glyphs::UNICODE.sparkline(values, 60);
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[1.0, f64::NAN, 0.0]), "█ ▁");
        assert_eq!(sparkline(&[2.0, 2.0]), "▅▅");
        assert_eq!(sparkline(&[]), "");
        let long: Vec<f64> = (0..600).map(f64::from).collect();
        let shown = sparkline(&long);
        assert_eq!((shown.chars().count(), shown.chars().next(), shown.chars().last()), (60, Some('▁'), Some('█')));
        assert_eq!(Glyphs::ASCII.sparkline(&[3.0, 2.0, 1.0, 0.0], 4), "@*-.");
    }

    #[test]
    fn bars_are_filled_by_shares() {
        let bar = |share| Glyphs::ASCII.bar(share, 4);
        assert_eq!([0.0, 0.5, 1.0, 7.0].map(|share| bar(share).0), ["", "##", "####", "####"]);
        assert_eq!(bar(0.5).1, "..");
    }

    #[test]
    fn a_locale_says_whether_it_has_blocks() {
        let locales = ["C.UTF-8", "de_DE.utf8", "C", "POSIX", "en_US.ISO-8859-1"];
        assert_eq!(locales.map(is_utf8), [true, true, false, false, false]);
    }
}
