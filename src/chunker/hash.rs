//! The ids of many chunks at once.

use rayon::prelude::*;

use crate::id::{BlobId, BlobType, HashKeys};

/// Below this in all, in bytes, waking other threads costs more than it saves.
const PARALLEL_FROM_BYTES: usize = 128 * 1024;

/// The ids of `chunks` as blobs of one type, in their order. Chunks are hashed
/// in parallel, and a long one is hashed in parallel within itself, so one big
/// file keeps every core busy as well as many small ones do.
pub fn hash_chunks(keys: &HashKeys, kind: BlobType, chunks: &[&[u8]]) -> Vec<BlobId> {
    let total: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    if total < PARALLEL_FROM_BYTES {
        return chunks.iter().map(|chunk| keys.blob_id(kind, chunk)).collect();
    }
    chunks.par_iter().map(|chunk| keys.blob_id(kind, chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RepositoryId;

    #[test]
    fn ids_come_in_the_order_of_the_chunks_and_are_those_of_one_by_one() {
        let keys = HashKeys::of_repository(&RepositoryId::from_bytes([3; 32]));
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        for lens in [vec![], vec![0], vec![5, 0, 9], vec![1_000_000, 3, 400_000, 1_500_000, 0, 77]]
        {
            let mut rest = bytes.as_slice();
            let chunks: Vec<&[u8]> =
                lens.into_iter().map(|len| rest.split_off(..len).unwrap()).collect();
            let one_by_one: Vec<BlobId> =
                chunks.iter().map(|chunk| keys.blob_id(BlobType::Data, chunk)).collect();
            assert_eq!(hash_chunks(&keys, BlobType::Data, &chunks), one_by_one);
        }
    }
}
