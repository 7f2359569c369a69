//! Old kernels, and filters that make a kernel look like one, or that forbid a question.

use afunix::{Errno, Gid, PeerError};

use crate::asks::{Asks, Meets, SO_PEERPIDFD, numbers, own};
use crate::common::emulated::{FILTER, left_out_by_qemu};
use crate::common::kinds::Socket;
use crate::common::seccomp::answer_option;
use crate::common::{name, open_fds, passes_in_child};
use crate::plain::fork;

for_data!(errno_of_one_option_is_told_by_its_class_and_the_others_work);
for_connecting!(accepted_connection_that_cannot_be_asked_is_closed);

const SO_PEERSEC: i32 = 31;

/// What each errno is made of.
const CLASSES: [(Errno, PeerError); 9] = [
    (Errno::NOPROTOOPT, PeerError::Unsupported(Errno::NOPROTOOPT)),
    (Errno::NOSYS, PeerError::Unsupported(Errno::NOSYS)),
    (Errno::OPNOTSUPP, PeerError::Unsupported(Errno::OPNOTSUPP)),
    (Errno::NODATA, PeerError::NotConnected),
    (Errno::NOTCONN, PeerError::NotConnected),
    (Errno::PERM, PeerError::Kernel(Errno::PERM)),
    (Errno::ACCESS, PeerError::Kernel(Errno::ACCESS)),
    (Errno::SRCH, PeerError::Kernel(Errno::SRCH)),
    // Of a list it says that there is more only if the kernel says how much.
    (Errno::RANGE, PeerError::Kernel(Errno::RANGE)),
];

fn errno_of_one_option_is_told_by_its_class_and_the_others_work<T: Asks>(test: &str) {
    if left_out_by_qemu(FILTER) {
        return;
    }
    passes_in_child(test, || {
        let (a, _b) = T::pair().unwrap();
        for (errno, class) in CLASSES {
            let refused = Err(class);
            let room = || [Gid::ROOT; 1024];
            fork(|| {
                let others_work = answer_option(libc::SO_PEERCRED, errno);
                assert_eq!(a.peer_credentials(), refused.map(|()| unreachable!()));
                assert_eq!(a.peer().map(drop), refused);
                assert!(!others_work || a.peer_pidfd().is_ok());
                assert!(!others_work || a.peer_groups(&mut room()).is_ok());
            });
            fork(|| {
                let before = open_fds();
                let others_work = answer_option(SO_PEERPIDFD, errno);
                assert_eq!(a.peer_pidfd().map(drop), refused);
                assert_eq!(a.peer().map(drop), refused);
                assert_eq!(open_fds(), before);
                assert!(!others_work || numbers(a.peer_credentials().unwrap())[0] != 0);
            });
            fork(|| {
                let others_work = answer_option(libc::SO_PEERGROUPS, errno);
                assert_eq!(a.peer_groups(&mut room()).map(|_| ()), refused);
                assert_eq!(a.peer_groups(&mut []).map(|_| ()), refused);
                assert!(!others_work || a.peer().is_ok());
            });
            fork(|| {
                let others_work = answer_option(SO_PEERSEC, errno);
                assert_eq!(a.peer_security_context(&mut [0; 512]).map(|_| ()), refused);
                assert_eq!(a.peer_security_context(&mut []).map(|_| ()), refused);
                assert!(!others_work || a.peer().is_ok());
            });
        }
    });
}

/// The listener is none the worse for it.
fn accepted_connection_that_cannot_be_asked_is_closed<T: Meets>(test: &str) {
    if left_out_by_qemu(FILTER) {
        return;
    }
    passes_in_child(test, || {
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        for (errno, class) in CLASSES {
            let clients = [(); 2].map(|()| T::connect(&server).unwrap());
            fork(|| {
                let before = open_fds();
                answer_option(libc::SO_PEERCRED, errno);
                assert_eq!(T::accept_peer(&listener).map(drop), Err(class));
                let mut from = name("before");
                assert_eq!(T::accept_peer_into(&listener, &mut from).map(drop), Err(class));
                // Taken it was, and its address with it.
                assert!(from.is_unnamed());
                assert_eq!(open_fds(), before);
                for client in &clients {
                    assert_eq!(client.get(&mut [0; 2]), Ok(0));
                }
            });
        }
        let client = T::connect(&server).unwrap();
        let (connection, _, peer) = T::accept_peer(&listener).unwrap();
        assert_eq!(numbers(peer), own());
        drop((client, connection));
    });
}
