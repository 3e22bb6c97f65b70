//! What was probably meant.

/// The candidate that is most like the word, if one is alike enough.
pub(crate) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let word = word.to_lowercase();
    // As flags are called.
    let bare = word.strip_prefix("keep_").or_else(|| word.strip_prefix("keep-"));
    if let Some(exact) = candidates.iter().find(|it| bare.is_some_and(|bare| bare == **it)) {
        return Some(exact);
    }
    let likeness = |candidate: &str| strsim::jaro_winkler(&word, &candidate.to_lowercase());
    let scored = candidates.iter().map(|candidate| (likeness(candidate), *candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness > 0.8).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_suggested_and_what_is_not_is_not() {
        let keys = ["name", "paths", "exclude", "one_file_system"];
        assert_eq!(nearest("exlude", &keys), Some("exclude"));
        assert_eq!(nearest("path", &keys), Some("paths"));
        assert_eq!(nearest("Name", &keys), Some("name"));
        assert_eq!(nearest("zzz", &keys), None);
    }
}
