//! The name that somebody may have meant, for errors about names that nobody knows.

/// The known name that is nearest to `name`, if one is near: at most a third of the letters differ.
/// A hint beyond that would mislead.
pub fn nearest<'k>(known: impl IntoIterator<Item = &'k str>, name: &str) -> Option<&'k str> {
    let (distance, nearest) = known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.len()).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_if_a_third_of_its_letters_differ() {
        let known = ["example.simple", "example.single", "report.daily"];
        assert_eq!(nearest(known, "exmaple.simple"), Some("example.simple"));
        assert_eq!(nearest(known, "report.dialy"), Some("report.daily"));
        assert_eq!(nearest(known, "nothing.alike"), None);
        assert_eq!(nearest([], "report.daily"), None);
    }
}
