//! Values from outside, in logs.

/// A value from outside, made safe for a log: escaped, and cut at 128 characters, so
/// that it can neither forge a line nor fill the disk.
pub fn loggable(value: &str) -> String {
    cut(value, MAX_CHARS)
}

/// An application's text on one line, escaped and cut at 1,024 characters. An error or
/// a panic may quote what a client sent.
pub fn escaped(text: &str) -> String {
    cut(text, MAX_TEXT_CHARS)
}

fn cut(text: &str, max_chars: usize) -> String {
    text.chars()
        .take(max_chars)
        .flat_map(char::escape_debug)
        .collect()
}

const MAX_CHARS: usize = 128;
/// An error may be longer than a single value, but its length is limited too.
const MAX_TEXT_CHARS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged() {
        assert_eq!(loggable("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(loggable(&"x".repeat(1000)).len(), 128);
        assert_eq!(escaped(&"\n".repeat(5000)).len(), 2048);
    }
}
