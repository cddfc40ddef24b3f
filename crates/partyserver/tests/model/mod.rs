//! Random steps on a part, compared with a small model of it.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

/// Runs a test with many values, the same in each run. `MODEL_SEED` chooses other
/// values. A failure tells the seed and the smallest value that fails.
pub(crate) fn check<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let seed = std::env::var("MODEL_SEED").ok();
    let seed = seed.map_or(1, |seed| seed.parse().expect("MODEL_SEED is a number"));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(error) = TestRunner::new(config).run(strategy, test) {
        panic!("MODEL_SEED={seed}: {error}");
    }
}
