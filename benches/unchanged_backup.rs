//! How long a backup takes that finds nothing changed: a walk beside the previous manifest, and one record.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod world;

use world::World;

fn unchanged_backup(criterion: &mut Criterion) {
    let world = World::new();
    let repository = world.repository();
    let files = world.backup(&repository).record.counts.files;
    let mut group = criterion.benchmark_group("unchanged_backup");
    group.sample_size(20).throughput(Throughput::Elements(files));
    group.bench_function("durable", |bencher| bencher.iter(|| world.backup(&repository)));
    group.finish();
}

criterion_group!(benches, unchanged_backup);
criterion_main!(benches);
