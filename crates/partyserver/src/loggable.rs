//! Values from outside, in logs.

/// A value from outside as a log may show it: escaped, and cut at 128
/// characters, so that it can neither forge a line nor fill the disk.
pub fn loggable(value: &str) -> String {
    value
        .chars()
        .take(MAX_CHARS)
        .flat_map(char::escape_debug)
        .collect()
}

const MAX_CHARS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged() {
        assert_eq!(loggable("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(loggable(&"x".repeat(1000)).len(), 128);
    }
}
