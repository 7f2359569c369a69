//! What an accepted socket has of its listener's options.

use std::time::Duration;

use afunix::Errno;

use crate::common::emulated::is_set;
use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::{identity, name};
use crate::traits::{Options, Queue, SO_INQ, set_option};

for_connecting!(
    accepted_socket_has_what_may_come_along_and_nothing_else
    options_are_those_of_when_the_client_connected
);

/// See "What a listener hands on" in `kernel.md`.
fn accepted_socket_has_what_may_come_along_and_nothing_else<T: Connects + Queue>(_: &str)
where
    T::Listener: Options,
{
    let fresh = T::unbound().unwrap();
    let socket = T::unbound().unwrap();
    let limit = Some(Duration::from_secs(8));
    socket.set_passcred(true).unwrap();
    socket.set_passsec(true).unwrap();
    let refuses = socket.set_passrights(false) != Err(Errno::NOPROTOOPT);
    socket.set_limit(limit).unwrap();
    socket.set_write_timeout(limit).unwrap();
    socket.set_send_buffer_size(8192).unwrap();
    is_set(socket.set_peek_offset(Some(3)));
    socket.set_nonblocking(true).unwrap();
    // Of streams, since Linux 6.17.
    let _ = set_option(&socket, SO_INQ, 1_i32);
    let addr = name("server");
    socket.bind_to(&addr).unwrap();
    let listener = socket.listen(8).unwrap();
    assert_eq!((listener.passcred(), listener.passsec()), (Ok(true), Ok(true)));
    assert_eq!(listener.limit(), Ok(limit));

    let client = T::connect(&addr).unwrap();
    let (server, _) = listener.accept().unwrap();
    for (socket, on) in [(&server, true), (&client, false)] {
        assert_eq!((socket.passcred(), socket.passsec()), (Ok(on), Ok(on)));
        assert_eq!((socket.limit(), socket.write_timeout()), (Ok(None), Ok(None)));
        assert_eq!(socket.send_buffer_size(), fresh.send_buffer_size());
        assert_eq!(socket.peek_offset(), Ok(None));
        assert_eq!(identity(socket).3, libc::O_RDWR);
        if refuses {
            assert_eq!(socket.passrights(), Ok(!on));
        }
    }
    client.put(b"hello").unwrap();
    server.set_passcred(false).unwrap();
    server.set_passsec(false).unwrap();
    // Nobody asked this one for the bytes left.
    let mut buf = [0; 2];
    let data = &mut [afunix::IoSliceMut::new(&mut buf)];
    let mut control = afunix::AncillaryBuf::<64>::new();
    let options = afunix::RecvOptions::new();
    let (_, ancillary) = server.recv_with(data, &mut control, options).unwrap();
    assert_eq!(ancillary.bytes_left(), None);
}

/// See "What a listener hands on" in `kernel.md`.
fn options_are_those_of_when_the_client_connected<T: Connects + Queue>(_: &str)
where
    T::Listener: Options,
{
    let addr = name("server");
    let listener = T::Listener::bind(&addr).unwrap();
    if listener.passrights().is_err() {
        return crate::common::skip("before Linux 6.16 it was when it was accepted");
    }
    let _early = T::connect(&addr).unwrap();
    let refuses = is_set(listener.set_passrights(false));
    listener.set_passsec(true).unwrap();
    let _late = T::connect(&addr).unwrap();
    is_set(listener.set_passrights(true));
    listener.set_passsec(false).unwrap();
    let (early, late) = (listener.accept().unwrap().0, listener.accept().unwrap().0);
    assert_eq!((early.passrights(), early.passsec()), (Ok(true), Ok(false)));
    assert_eq!((late.passrights(), late.passsec()), (Ok(!refuses), Ok(true)));
}
