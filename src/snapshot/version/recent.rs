//! Blobs that were read last, up to a number of bytes.

use std::collections::VecDeque;
use std::sync::Arc;

/// Keeps what was used last. One blob is kept however long it is.
pub(super) struct Recent<K> {
    most_bytes: usize,
    /// What was used last is in front.
    held: VecDeque<(K, Arc<Vec<u8>>)>,
}

impl<K: PartialEq> Recent<K> {
    /// Nothing yet, and never more than this, unless it is one blob.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, held: VecDeque::new() }
    }

    /// The bytes of `key`, which `read` gives if they are not held.
    pub(super) fn get_or_read<E>(
        &mut self,
        key: K,
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<Vec<u8>>, E> {
        let known = self.held.iter().position(|(held, _)| *held == key);
        let bytes = match known.and_then(|at| self.held.remove(at)) {
            Some((_, bytes)) => bytes,
            None => Arc::new(read()?),
        };
        self.held.push_front((key, Arc::clone(&bytes)));
        self.forget();
        Ok(bytes)
    }

    fn forget(&mut self) {
        let mut bytes: usize = self.held.iter().map(|(_, held)| held.len()).sum();
        while self.held.len() > 1 && bytes > self.most_bytes {
            bytes -= self.held.pop_back().map_or(0, |(_, held)| held.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let mut recent = Recent::new(100);
        let mut read = Vec::new();
        for (key, len) in
            [(1, 40), (2, 40), (1, 40), (3, 30), (1, 40), (2, 40), (4, 500), (4, 500), (1, 40)]
        {
            let bytes = recent.get_or_read(key, || {
                read.push(key);
                Ok::<_, ()>(vec![key; len])
            });
            assert_eq!(*bytes.unwrap(), vec![key; len]);
            let held: usize = recent.held.iter().map(|(_, held)| held.len()).sum();
            assert!(held <= 100 || recent.held.len() == 1, "{held}");
        }
        assert_eq!(read, [1, 2, 3, 2, 4, 1]);
        assert_eq!(recent.get_or_read(9, || Err("lost")), Err("lost"));
        assert_eq!(recent.held.len(), 1, "what cannot be read is not held");
    }
}
