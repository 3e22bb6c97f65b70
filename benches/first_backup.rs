//! How long a first backup takes: everything is read, hashed, compressed where that pays, written and synced.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

mod world;

use world::World;

fn first_backup(criterion: &mut Criterion) {
    let world = World::new();
    let bytes = world.backup(&world.repository()).record.counts.bytes;
    let mut group = criterion.benchmark_group("first_backup");
    group.sample_size(10).throughput(Throughput::Bytes(bytes));
    group.bench_function("durable", |bencher| {
        bencher.iter_batched(
            || world.repository(),
            |repository| world.backup(&repository),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, first_backup);
criterion_main!(benches);
