//! Limits of the process: in a child alone.

use std::os::fd::AsRawFd;

use super::open_fds;

/// Makes a call when just `left` more descriptors may be opened.
pub fn with_left<R>(left: libc::rlim_t, call: impl FnOnce() -> R) -> R {
    // Every number up to the highest one in use is taken first: a gap would be room for one more.
    let highest = open_fds().last().map_or(2, |(fd, _)| *fd);
    let null = std::fs::File::open("/dev/null").unwrap();
    let mut fillers = vec![null];
    while fillers.last().is_some_and(|filler| filler.as_raw_fd() < highest) {
        fillers.push(fillers[0].try_clone().unwrap());
    }
    let first_free = fillers.last().map_or(0, |filler| filler.as_raw_fd() + 1);
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is ours to write.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut before) }, 0);
    let limit =
        libc::rlimit { rlim_cur: libc::rlim_t::try_from(first_free).unwrap() + left, ..before };
    // SAFETY: the limit is ours to read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let answer = call();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &before) }, 0);
    answer
}
