//! Abstract names, and the address that is no name.

use afunix::{Errno, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacketListener};

use crate::common::kinds::{Data, Listens};
use crate::common::{TempDir, name};
use crate::table::*;

for_data!(
    abstract_name_in_use_is_eaddrinuse_until_its_socket_closes
    abstract_name_that_nobody_has_is_refused
    abstract_name_of_another_type_is_refused
    unnamed_address_can_be_neither_bound_nor_reached
    unnamed_address_is_refused_by_a_bound_socket_too
);
for_types!(unnamed_address_cannot_be_listened_at:
    listener UnixListener, seqpacket_listener UnixSeqpacketListener);

fn abstract_name_in_use_is_eaddrinuse_until_its_socket_closes<T: Data>(_: &str) {
    let taken = name("taken");
    let holder = T::bind(&taken).unwrap();
    let socket = T::unbound().unwrap();
    assert_eq!(socket.bind_to(&taken), IN_USE);
    assert!(socket.local_addr().unwrap().is_unnamed());
    assert_eq!(T::bind(&taken).map(drop), IN_USE);
    assert_eq!(T::serve(&taken).map(drop), IN_USE);
    assert_eq!(T::connect_from_to(&taken, &UnixAddr::UNNAMED).map(drop), IN_USE);
    assert_eq!(holder.local_addr(), Ok(taken));
    drop(holder);
    assert_eq!(socket.bind_to(&taken), OK);
}

#[test]
fn abstract_name_in_use_is_free_for_the_other_types() {
    let _watchdog = crate::common::Watchdog::new();
    let shared = name("shared");
    let stream = UnixListener::bind(&shared).unwrap();
    let datagram = UnixDatagram::bind(&shared).unwrap();
    let seqpacket = UnixSeqpacketListener::bind(&shared).unwrap();
    assert_eq!(stream.local_addr(), Ok(shared));
    assert_eq!(datagram.local_addr(), Ok(shared));
    assert_eq!(seqpacket.local_addr(), Ok(shared));
    assert_eq!(UnixListener::bind(&shared).map(drop), IN_USE);
    assert_eq!(UnixDatagram::bind(&shared).map(drop), IN_USE);
    assert_eq!(UnixSeqpacketListener::bind(&shared).map(drop), IN_USE);
}

fn abstract_name_that_nobody_has_is_refused<T: Data + 'static>(_: &str) {
    let (folder, good) = (TempDir::new(), name("good"));
    let _good = T::serve(&good).unwrap();
    check_reach::<T>(&name("nobody"), "nobody", REFUSED, folder.path(), &good);
}

fn abstract_name_of_another_type_is_refused<T: Data + 'static>(_: &str) {
    let (folder, good, other) = (TempDir::new(), name("good"), name("other"));
    let _sockets = (T::serve(&good).unwrap(), other_type::<T>(&other));
    check_reach::<T>(&other, "another type", REFUSED, folder.path(), &good);
}

fn unnamed_address_can_be_neither_bound_nor_reached<T: Data + 'static>(_: &str) {
    let (folder, good) = (TempDir::new(), name("good"));
    let _good = T::serve(&good).unwrap();
    let unnamed = UnixAddr::UNNAMED;
    check_reach::<T>(&unnamed, "unnamed", Err(Errno::INVAL), folder.path(), &good);

    let socket = T::unbound().unwrap();
    assert_eq!(socket.bind_to(&unnamed), Err(Errno::INVAL));
    // The kernel would have picked a name.
    assert!(socket.local_addr().unwrap().is_unnamed());
    assert_eq!(socket.bind_to(&name("after")), OK);
    assert_eq!(T::bind(&unnamed).map(drop), Err(Errno::INVAL));
    assert_eq!(T::serve(&unnamed).map(drop), Err(Errno::INVAL));
    assert_eq!(T::connect_from_to(&unnamed, &good).map(drop), Err(Errno::INVAL));
}

/// The kernel itself would say that all is well.
fn unnamed_address_is_refused_by_a_bound_socket_too<T: Data>(_: &str) {
    let (socket, own) = T::autobind().unwrap();
    assert_eq!(socket.bind_to(&UnixAddr::UNNAMED), Err(Errno::INVAL));
    assert_eq!(socket.local_addr(), Ok(own));
}

fn unnamed_address_cannot_be_listened_at<L: Listens>(_: &str) {
    assert_eq!(L::bind(&UnixAddr::UNNAMED).map(drop), Err(Errno::INVAL));
    assert_eq!(L::bind_with_backlog(&UnixAddr::UNNAMED, 1).map(drop), Err(Errno::INVAL));
}
