//! What procfs says of a process.

/// The umask, from the beginning of `/proc/thread-self/status`: `Umask:`, a tab, octal digits. In the one
/// text that stands before it, the thread's name, the kernel escapes line breaks.
///
/// `None` where it is not told, as before Linux 4.7.
pub(crate) fn umask(status: &[u8]) -> Option<u32> {
    let mut lines = status.split_inclusive(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"Umask:\t"))?;
    // What was cut would be another number.
    let digits = line.strip_suffix(b"\n")?;
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    digits.iter().try_fold(0_u32, |mask, digit| match digit {
        b'0'..=b'7' => Some((mask << 3) | u32::from(digit & 7)),
        _ => None,
    })
}
