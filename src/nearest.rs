//! The known name that a misspelt one probably means.

use std::path::Path;

/// The candidate closest to `word`, if one is close.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    let distances = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    distances.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", else the names there are.
pub(crate) fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, known: &str) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => Some(format!("did you mean `{candidate}`?")),
        None if candidates.is_empty() => None,
        None => Some(format!("{known}: {}", quoted(candidates))),
    }
}

/// "did you mean …?" with the existing neighbour whose name is nearest to that of `missing`; `shown` is how it was written.
pub(crate) fn sibling(missing: &Path, shown: &Path) -> Option<String> {
    let name = missing.file_name()?.to_str()?;
    let neighbours = std::fs::read_dir(missing.parent()?).ok()?;
    let names: Vec<String> = neighbours.take(10_000).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let found = nearest(name, names.iter().map(String::as_str).filter(|candidate| *candidate != name))?;
    Some(format!("did you mean `{}`?", shown.with_file_name(found).display()))
}

/// "`a`, `b`, `c`".
pub(crate) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn distance(left: &str, right: &str) -> usize {
    strsim::damerau_levenshtein(&left.to_lowercase(), &right.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        assert_eq!(nearest("epoch", ["batch", "epochs"]), Some("epochs"));
        assert_eq!(nearest("horizontal_flip", ["horizontal-flip"]), Some("horizontal-flip"));
        assert_eq!(nearest("momentum", ["epochs", "batch"]), None);
    }
}
