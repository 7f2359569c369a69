//! The C library's walk over control messages.

use std::mem;

use afunix::fuzzing::Found;

/// The size of a header.
pub const HEADER: usize = size_of::<libc::cmsghdr>();

/// Tells each message that the C library's macros find; the first that is not whole is the last.
pub fn walk(data: &[u8], each: &mut dyn FnMut(Found)) {
    // Where a header may be read as such.
    let mut words = vec![0usize; data.len().div_ceil(size_of::<usize>())];
    for (word, bytes) in words.iter_mut().zip(data.chunks(size_of::<usize>())) {
        let mut whole = [0; size_of::<usize>()];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = usize::from_ne_bytes(whole);
    }
    let base = words.as_mut_ptr().cast::<u8>();
    // SAFETY: all zeros are a header of nothing.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_control = base.cast();
    message.msg_controllen = data.len() as _;
    // SAFETY: the control buffer is readable for as long as the header says.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !next.is_null() {
        // SAFETY: the macros gave it, so it is a whole header in the buffer, aligned to a word.
        let header = unsafe { *next };
        let at = next.addr() - base.addr();
        // SAFETY: as above; the result is at most the end of the buffer.
        let payload = unsafe { libc::CMSG_DATA(next) };
        assert_eq!(payload.addr() - next.addr(), HEADER);
        // musl has an `int` and padding where the kernel has a `size_t`, of which it reads one half.
        let len = length_at(data, at);
        debug_assert_eq!(len as u32, header.cmsg_len as u32);
        each(Found { at, len, level: header.cmsg_level, kind: header.cmsg_type });
        // The macros do not look at the first length, and in older versions add without care.
        if len < HEADER || len > data.len() - at {
            break;
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(&raw const message, next) };
    }
}

/// The length that a header at `at` begins with, as the kernel has it.
fn length_at(data: &[u8], at: usize) -> usize {
    let mut len = [0; size_of::<usize>()];
    len.copy_from_slice(&data[at..at + size_of::<usize>()]);
    usize::from_ne_bytes(len)
}
