//! How fast files are cut, beside the `fastcdc` crate with the same shortest, average and longest chunk;
//! and what cutting costs beside the hashing that follows it.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use fastcdc::v2020::{FastCDC, StreamCDC};
use larder::chunker::hash::hash_chunks;
use larder::chunker::params::Params;
use larder::chunker::plan::CutPlan;
use larder::chunker::stream::{ChunkStream, chunks_of};
use larder::id::{BlobType, HashKeys, RepositoryId};
use larder_benches::{MIB, random, text};

const INPUT_BYTES: usize = 64 * MIB;
const BATCH_BYTES: usize = 8 * MIB;

fn in_memory(data: &[u8], params: Params) -> usize {
    chunks_of(data, CutPlan::Gear, &params).map(black_box).count()
}

fn rival_in_memory(data: &[u8], params: Params) -> usize {
    let [min, average, max] = lengths(params);
    FastCDC::new(data, min, average, max).map(black_box).count()
}

fn streamed(data: &[u8], params: Params, buffer: &mut Vec<u8>) -> usize {
    let mut stream = ChunkStream::new(data, CutPlan::Gear, &params, buffer);
    let mut chunks = 0;
    while let Some(chunk) = stream.next_chunk().expect("memory can be read") {
        black_box(chunk);
        chunks += 1;
    }
    chunks
}

fn rival_streamed(data: &[u8], params: Params) -> usize {
    let [min, average, max] = lengths(params);
    StreamCDC::new(data, min, average, max).filter(|chunk| black_box(chunk).is_ok()).count()
}

/// Shortest, average and longest, as both are given them.
fn lengths(params: Params) -> [usize; 3] {
    [params.min_bytes(), params.average_bytes(), params.max_bytes()]
}

fn hashed(data: &[u8], params: Params, keys: &HashKeys, buffer: &mut Vec<u8>) -> usize {
    let mut stream = ChunkStream::new(data, CutPlan::Gear, &params, buffer);
    let mut chunks = 0;
    loop {
        let batch = stream.next_batch(BATCH_BYTES).expect("memory can be read");
        if batch.is_empty() {
            return chunks;
        }
        chunks += black_box(hash_chunks(keys, BlobType::Data, &batch)).len();
    }
}

fn cutting(criterion: &mut Criterion) {
    let keys = HashKeys::of_repository(&RepositoryId::from_bytes([1; 32]));
    let params = Params::default();
    let mut buffer = Vec::new();
    for (name, data) in [("random", random(1, INPUT_BYTES)), ("text", text(1, INPUT_BYTES))] {
        println!(
            "{name}: average chunk {} KiB, fastcdc {} KiB",
            INPUT_BYTES / 1024 / in_memory(&data, params),
            INPUT_BYTES / 1024 / rival_in_memory(&data, params),
        );
        let mut group = criterion.benchmark_group(format!("chunker/{name}"));
        group.throughput(Throughput::Bytes(INPUT_BYTES as u64)).sample_size(20);
        group.bench_function("in memory", |b| b.iter(|| in_memory(&data, params)));
        group.bench_function("in memory, fastcdc", |b| b.iter(|| rival_in_memory(&data, params)));
        group.bench_function("stream", |b| b.iter(|| streamed(&data, params, &mut buffer)));
        group.bench_function("stream, fastcdc", |b| b.iter(|| rival_streamed(&data, params)));
        group.bench_function("stream with ids", |b| {
            b.iter(|| hashed(&data, params, &keys, &mut buffer));
        });
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    cutting(&mut criterion);
    criterion.final_summary();
}
