//! No descriptor left.

use std::os::fd::AsRawFd;

use afunix::Errno;

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{TempDir, name, open_fds, passes_in_child, snapshot};

for_data!(constructor_without_a_descriptor_left_is_emfile_and_leaves_nothing);
for_connecting!(
    listener_without_a_descriptor_left_is_emfile_and_leaves_nothing
    accept_without_a_descriptor_left_is_emfile_and_the_connection_stays_pending
);

/// Makes a call when just `left` more descriptors may be opened.
fn with_left<R>(left: libc::rlim_t, call: impl FnOnce() -> R) -> R {
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

const MFILE: Result<(), Errno> = Err(Errno::MFILE);

fn constructor_without_a_descriptor_left_is_emfile_and_leaves_nothing<T: Data>(test: &str) {
    passes_in_child(test, || {
        let (folder, server, own) = (TempDir::new(), name("server"), name("own"));
        let _server = T::serve(&server).unwrap();
        let path = folder.addr("own");
        let before = open_fds();
        with_left(0, || {
            assert_eq!(T::unbound().map(drop), MFILE);
            assert_eq!(T::bind(&path).map(drop), MFILE);
            assert_eq!(T::bind(&own).map(drop), MFILE);
            assert_eq!(T::autobind().map(drop), MFILE);
            assert_eq!(T::connect_from_to(&path, &server).map(drop), MFILE);
            assert_eq!(T::pair().map(drop), MFILE);
        });
        // One is not enough for a pair, and is not lost.
        with_left(1, || {
            assert_eq!(T::pair().map(drop), MFILE);
            assert_eq!(T::bind(&own).map(drop), Ok(()));
        });
        with_left(2, || assert_eq!(T::pair().map(drop), Ok(())));
        assert_eq!(open_fds(), before);
        assert_eq!(snapshot(folder.path()), []);
    });
}

fn listener_without_a_descriptor_left_is_emfile_and_leaves_nothing<T: Connects>(test: &str) {
    passes_in_child(test, || {
        let (folder, server) = (TempDir::new(), name("server"));
        let listener = T::Listener::bind(&server).unwrap();
        let path = folder.addr("own");
        let before = open_fds();
        with_left(0, || {
            assert_eq!(T::Listener::bind(&path).map(drop), MFILE);
            assert_eq!(T::Listener::bind_with_backlog(&path, 1).map(drop), MFILE);
            assert_eq!(T::Listener::autobind().map(drop), MFILE);
            assert_eq!(T::connect(&server).map(drop), MFILE);
        });
        assert_eq!(open_fds(), before);
        assert_eq!(snapshot(folder.path()), []);
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN));
    });
}

/// See "A listener can lose descriptors to accept but no connection" in `kernel.md`.
fn accept_without_a_descriptor_left_is_emfile_and_the_connection_stays_pending<T: Connects>(
    test: &str,
) {
    passes_in_child(test, || {
        let (server, own) = (name("server"), name("own"));
        let listener = T::Listener::bind(&server).unwrap();
        let client = T::connect_from_to(&own, &server).unwrap();
        assert_eq!(client.put(b"word"), Ok(4));
        let (before, untouched) = (open_fds(), name("untouched"));
        let mut from = untouched;
        with_left(0, || {
            for _ in 0..2 {
                assert_eq!(listener.accept_into(&mut from).map(drop), MFILE);
                assert_eq!(listener.accept().map(drop), MFILE);
            }
        });
        assert_eq!(from, untouched);
        assert_eq!(open_fds(), before);
        let connection = listener.accept_into(&mut from).unwrap();
        assert_eq!((from, connection.get(&mut [0; 8])), (own, Ok(4)));
        assert_eq!(connection.put(b"x"), Ok(1));
        assert_eq!(client.get(&mut [0]), Ok(1));
    });
}
