//! No descriptor left.

use afunix::{Errno, Gid, PeerError};

use crate::asks::{Asks, Meets, numbers, own};
use crate::common::kinds::{Listens, Socket};
use crate::common::limits::with_left;
use crate::common::{name, open_fds, passes_in_child};

for_data!(pidfd_without_a_descriptor_left_is_emfile_and_leaves_nothing);
for_connecting!(
    accept_with_its_peer_without_a_descriptor_left_leaves_the_connection_pending
    refused_connection_is_closed
);

const MFILE: PeerError = PeerError::Kernel(Errno::MFILE);
const NOT_ACCEPTED: PeerError = PeerError::Accept(Errno::MFILE);

fn pidfd_without_a_descriptor_left_is_emfile_and_leaves_nothing<T: Asks>(test: &str) {
    passes_in_child(test, || {
        let (a, _b) = T::pair().unwrap();
        let before = open_fds();
        with_left(0, || {
            for _ in 0..100 {
                assert_eq!(a.peer_pidfd().map(drop), Err(MFILE));
                assert_eq!(a.peer().map(drop), Err(MFILE));
                assert_eq!(afunix::peer_pidfd(&a).map(drop), Err(MFILE));
            }
            // What needs none works.
            assert_eq!(numbers(a.peer_credentials().unwrap()), own());
            assert!(a.peer_groups(&mut [Gid::ROOT; 1024]).is_ok());
        });
        with_left(1, || {
            for _ in 0..100 {
                let peer = a.peer().unwrap();
                assert_eq!(a.peer_pidfd().map(drop), Err(MFILE));
                drop(peer);
            }
        });
        assert_eq!(open_fds(), before);
    });
}

/// See "A listener can lose descriptors to accept but no connection" in `kernel.md`.
fn accept_with_its_peer_without_a_descriptor_left_leaves_the_connection_pending<T: Meets>(
    test: &str,
) {
    passes_in_child(test, || {
        let (server, from) = (name("server"), name("from"));
        let listener = T::Listener::bind(&server).unwrap();
        let client = T::connect_from_to(&from, &server).unwrap();
        client.put(b"x").unwrap();
        let before = open_fds();
        let mut came = server;
        with_left(0, || {
            for _ in 0..100 {
                assert_eq!(T::accept_peer(&listener).map(drop), Err(NOT_ACCEPTED));
                assert_eq!(T::accept_peer_into(&listener, &mut came).map(drop), Err(NOT_ACCEPTED));
            }
        });
        assert_eq!((open_fds(), came), (before.clone(), server));
        with_left(1, || {
            let (connection, peer) = T::accept_peer_into(&listener, &mut came).unwrap();
            assert_eq!((numbers(peer), came), (own(), from));
            assert_eq!(connection.get(&mut [0; 2]), Ok(1));
        });
        assert_eq!(open_fds(), before);
    });
}

/// Whom the checks refuse, the caller drops; and nothing else is left of it.
fn refused_connection_is_closed<T: Meets>(test: &str) {
    fn only_from(listener: &impl Listens, nobody: u32) -> Result<(), Errno> {
        let peer = afunix::peer_credentials(listener).unwrap();
        peer.require_user(afunix::Uid::from_raw(nobody))?;
        Ok(())
    }
    passes_in_child(test, || {
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        let client = T::connect(&server).unwrap();
        let before = open_fds();
        let welcome = || {
            let (connection, _, peer) = T::accept_peer(&listener)?;
            peer.require_user(afunix::Uid::from_raw(4_000_000_000))?;
            Ok::<_, Errno>(connection)
        };
        assert_eq!(welcome().map(drop), Err(Errno::ACCESS));
        assert_eq!(only_from(&listener, 4_000_000_000), Err(Errno::ACCESS));
        assert_eq!(open_fds(), before);
        assert_eq!(client.get(&mut [0; 2]), Ok(0));
    });
}
