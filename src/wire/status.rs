//! What procfs says of a process.

/// The umask, from the beginning of `/proc/thread-self/status`: a line of `Umask:`, a tab, and four octal
/// digits. In the one text that stands before it, the thread's name, the kernel escapes line breaks.
///
/// `None` where it is not told, as before Linux 4.7.
pub(crate) fn umask(status: &[u8]) -> Option<u32> {
    let mut rest = status;
    loop {
        match rest.strip_prefix(b"\nUmask:\t") {
            // With its end: what was cut would be another number.
            Some([b'0', a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7', b'\n', ..]) => {
                let digit = |byte: &u8| u32::from(byte & 7);
                return Some((digit(a) << 6) | (digit(b) << 3) | digit(c));
            }
            Some(_) => return None,
            None => (_, rest) = rest.split_first()?,
        }
    }
}
