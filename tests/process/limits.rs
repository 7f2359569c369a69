//! No descriptor left.

use afunix::Errno;

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::limits::with_left;
use crate::common::{TempDir, name, open_fds, passes_in_child, snapshot};

for_data!(constructor_without_a_descriptor_left_is_emfile_and_leaves_nothing);
for_connecting!(
    listener_without_a_descriptor_left_is_emfile_and_leaves_nothing
    accept_without_a_descriptor_left_is_emfile_and_the_connection_stays_pending
);

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
