//! What a backup leaves out on purpose is not fetched because a row names it.

use std::collections::BTreeSet;

use crate::codec::manifest::EntryKey;
use crate::snapshot::archive::Request;
use crate::snapshot::archive::references::Flaw;

/// What the owner of the source does not want, and where the walk did not go.
pub(in crate::snapshot::archive) struct LeftOut<'a, 'r> {
    request: &'a Request<'r>,
    not_entered: BTreeSet<EntryKey>,
}

impl<'a, 'r> LeftOut<'a, 'r> {
    pub(in crate::snapshot::archive) fn new(
        request: &'a Request<'r>,
        not_entered: impl IntoIterator<Item = EntryKey>,
    ) -> Self {
        Self { request, not_entered: not_entered.into_iter().collect() }
    }

    /// Why this file is not to be saved, if so.
    pub(in crate::snapshot::archive) fn why(&self, key: &EntryKey) -> Option<Flaw> {
        let root = usize::try_from(key.root).ok()?;
        let excludes = self.request.walks.get(root)?.excludes;
        if excludes.excludes(&key.path, false) {
            return Some(Flaw::Excluded);
        }
        ancestors(&key.path).find_map(|dir| {
            if excludes.excludes(dir, true) {
                return Some(Flaw::Excluded);
            }
            let dir = EntryKey { root: key.root, path: dir.into() };
            self.not_entered.contains(&dir).then_some(Flaw::NotEntered)
        })
    }
}

/// The directories that a path lies in, outermost first, without the root itself.
pub(in crate::snapshot::archive) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.filter_map(|(at, _)| path.get(..at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_the_directories_on_the_way() {
        let all = |path: &'static str| ancestors(path.as_bytes()).collect::<Vec<_>>();
        assert_eq!(all("a"), [b""; 0]);
        assert_eq!(all("a/b/c"), [&b"a"[..], b"a/b"]);
    }
}
