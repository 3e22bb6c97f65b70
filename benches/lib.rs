//! Benchmarks of larder. Criterion and the rival chunker live here so that the main build never compiles them.
