//! How many tests passed and failed, read from the output of the runners.

/// The tests of a suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Tests that were not run because they are marked.
    pub(super) ignored: usize,
}

/// The sum over the test programs of a `cargo test`.
pub(super) fn of_cargo(text: &str) -> Counts {
    let results = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("test result: "));
    let mut sum = Counts::default();
    for part in results.flat_map(|result| result.split(['.', ';'])) {
        sum.passed += number_before(part, "passed");
        sum.failed += number_before(part, "failed");
        sum.ignored += number_before(part, "ignored");
    }
    sum
}

/// The last line of this repository's own runners: `N passed, N failed`, and
/// `N skipped` where they skip some.
pub(super) fn of_last_line(text: &str) -> Counts {
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    let count = |word| last.split(',').map(|part| number_before(part, word)).sum();
    Counts {
        passed: count("passed"),
        failed: count("failed"),
        ignored: count("skipped"),
    }
}

/// The totals that Node's runner prints at its end, one per line. A cancelled test is a
/// test that did not end in time.
pub(super) fn of_node(text: &str) -> Counts {
    let total = |word: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix("ℹ "))
            .filter_map(|line| line.strip_prefix(word)?.trim().parse::<usize>().ok())
            .next_back()
            .unwrap_or_default()
    };
    Counts {
        passed: total("pass "),
        failed: total("fail ") + total("cancelled "),
        ignored: total("skipped ") + total("todo "),
    }
}

/// 12 in ` 12 passed`, 0 in anything else.
fn number_before(text: &str, word: &str) -> usize {
    text.trim()
        .strip_suffix(word)
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: usize, failed: usize, ignored: usize) -> Counts {
        Counts {
            passed,
            failed,
            ignored,
        }
    }

    #[test]
    fn cargo_test_programs_are_summed() {
        let text = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.20s\n";
        assert_eq!(of_cargo(text), counts(13, 2, 1));
    }

    #[test]
    fn a_test_that_prints_a_count_is_not_counted() {
        assert_eq!(of_cargo("7 passed; 7 failed\n"), counts(0, 0, 0));
    }

    #[test]
    fn only_the_last_line_counts() {
        let text = "ok   3 passed, 3 failed\nFAIL other\n12 passed, 1 failed, 4 skipped\n";
        assert_eq!(of_last_line(text), counts(12, 1, 4));
        assert_eq!(of_last_line("ended early\n"), counts(0, 0, 0));
    }

    #[test]
    fn cancelled_tests_of_node_are_failures() {
        let text = "  ✔ pass 9 (1ms)\nℹ tests 9\nℹ suites 1\nℹ pass 5\nℹ fail 1\nℹ cancelled 2\n\
            ℹ skipped 1\nℹ todo 0\nℹ duration_ms 16581.5\n";
        assert_eq!(of_node(text), counts(5, 3, 1));
    }
}
