//! A name from the kernel for a socket that exists.

use std::process;

use afunix::{AncillaryBuf, Errno, IoSliceMut, RecvOptions, Space, UnixAddr, UnixDatagram};

use crate::common::kinds::{Connects, Listens};
use crate::common::{Watchdog, name, raw};
use crate::traits::Queue;

for_data!(
    socket_without_a_name_is_given_one
    socket_with_a_name_keeps_it_and_is_einval
    connected_socket_may_be_named
);
for_connecting!(first_message_has_credentials);

fn socket_without_a_name_is_given_one<T: Queue>(_: &str) {
    let (one, two) = (T::unbound().unwrap(), T::unbound().unwrap());
    let (first, second) = (one.autobind_to().unwrap(), two.autobind_to().unwrap());
    assert_ne!(first, second);
    for (socket, name) in [(&one, first), (&two, second)] {
        assert_eq!(socket.local_addr(), Ok(name));
        let digits = name.as_abstract_name().unwrap();
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        assert!(digits.len() == 5 && digits.iter().all(is_digit), "{name}");
    }
}

/// See "Autobind of a socket with a name is no error" in `kernel.md`.
fn socket_with_a_name_keeps_it_and_is_einval<T: Queue>(_: &str) {
    let own = name("own");
    let bound = T::bind(&own).unwrap();
    let (autobound, picked) = T::autobind().unwrap();
    for (socket, name) in [(bound, own), (autobound, picked)] {
        assert_eq!(raw::bind(&socket, b""), Ok(()));
        assert_eq!(socket.local_addr(), Ok(name));
        assert_eq!(socket.autobind_to(), Err(Errno::INVAL));
        assert_eq!(socket.local_addr(), Ok(name));
    }
    let socket = T::unbound().unwrap();
    let picked = socket.autobind_to().unwrap();
    assert_eq!(socket.autobind_to(), Err(Errno::INVAL));
    assert_eq!(socket.bind_to(&own), Err(Errno::INVAL));
    assert_eq!(socket.local_addr(), Ok(picked));
}

fn connected_socket_may_be_named<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    assert_eq!(b.peer_addr(), Ok(UnixAddr::UNNAMED));
    let name = a.autobind_to().unwrap();
    assert_eq!(b.peer_addr(), Ok(name));
}

/// The room for credentials alone.
type Control = AncillaryBuf<{ Space::new().credentials().bytes() }>;

/// Who sent what is next.
fn sender<T: Queue>(socket: &T) -> Option<u32> {
    let (mut control, mut buf) = (Control::new(), [0; 8]);
    let data = &mut [IoSliceMut::new(&mut buf)];
    let (_, ancillary) = socket.recv_with(data, &mut control, RecvOptions::new()).unwrap();
    let pid = ancillary.credentials()?.pid?;
    u32::try_from(pid.as_raw_pid()).ok()
}

fn first_message_has_credentials<T: Connects + Queue>(_: &str) {
    let socket = T::unbound().unwrap();
    socket.set_passcred(true).unwrap();
    let name = socket.autobind_to().unwrap();
    let listener = socket.listen(8).unwrap();
    let client = T::connect(&name).unwrap();
    client.put(b"early").unwrap();
    let (connection, _) = listener.accept().unwrap();
    assert_eq!(connection.passcred(), Ok(true));
    assert_eq!(sender(&connection), Some(process::id()));
}

#[test]
fn first_datagram_has_credentials() {
    let _watchdog = Watchdog::new();
    let socket = UnixDatagram::unbound().unwrap();
    socket.set_passcred(true).unwrap();
    let name = socket.autobind_to().unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"early", &name).unwrap();
    assert_eq!(sender(&socket), Some(process::id()));
    // Named first, it may be too late.
    let (socket, name) = UnixDatagram::autobind().unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"early", &name).unwrap();
    socket.set_passcred(true).unwrap();
    assert_eq!(sender(&socket), None);
}
