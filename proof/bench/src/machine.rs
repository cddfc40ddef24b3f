//! Where and when a measurement was made.

use std::fs;
use std::thread::available_parallelism;

use tokio::process::Command;

use crate::Result;

/// The processor, the number of cores, the kernel and the date, in one line.
pub(crate) async fn description() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let processor = processor(&processors).unwrap_or("an unnamed processor");
    let cores = available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let date = Command::new("date").args(["-u", "+%F"]).output().await?;
    let date = String::from_utf8(date.stdout)?;
    Ok(format!(
        "{processor}, {cores} cores, Linux {}, {}",
        kernel.trim(),
        date.trim()
    ))
}

fn processor(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_without_its_label() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A: B\nflags\t: fpu\n";
        assert_eq!(processor(cpuinfo), Some("A: B"));
        assert_eq!(processor("processor\t: 0\n"), None);
    }
}
