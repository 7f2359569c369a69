//! The data beside the control messages: pieces, sizes, addresses, and not waiting.

use afunix::{
    AncillaryBuf, AncillaryWriter, Errno, IoSlice, IoSliceMut, RecvError, RecvOptions, SendError,
    SendOptions, UnixAddr, UnixDatagram, UnixSeqpacket, UnixStream,
};

use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::{TempDir, Watchdog, name, passes_in_child};
use crate::methods::{NOTHING, Passes, get, got, got_of, lend, now};
use crate::plain::{self, files, inodes};

for_data!(
    pieces_are_gathered_and_scattered
    more_than_1024_pieces_are_for_a_stream_to_cut_and_else_an_error
    call_that_may_not_wait_says_so
);
for_messages!(message_that_is_cut_has_its_true_size_and_its_descriptors);
for_connecting!(
    peer_of_a_connection_is_the_sender
    peer_that_closes_with_something_unread_is_an_error_once
);

fn with_writer<R>(call: impl FnOnce(&AncillaryWriter<'_, '_>) -> R) -> R {
    call(&AncillaryBuf::<0>::new().writer())
}

fn pieces_are_gathered_and_scattered<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let files = files(1);
    let mut buf = AncillaryBuf::<64>::new();
    let mut writer = buf.writer();
    writer.push_fds(&lend(&files)).unwrap();
    let pieces = [b"he", &b""[..], b"ll", b"o"].map(IoSlice::new);
    for _ in 0..2 {
        assert_eq!(a.send_with(&pieces, &writer, SendOptions::new()).map(|sent| sent.bytes), Ok(5));
    }
    let mut control = AncillaryBuf::<64>::new();
    for function in [false, true] {
        let (mut x, mut y, mut z) = ([0; 1], [0; 3], [0; 8]);
        let data = &mut [&mut x[..], &mut y, &mut [], &mut z].map(IoSliceMut::new);
        let options = RecvOptions::new();
        let (received, mut ancillary) = if function {
            afunix::recv_with(&b, data, &mut control, options).unwrap()
        } else {
            b.recv_with(data, &mut control, options).unwrap()
        };
        assert_eq!((received.bytes, received.size, received.is_truncated()), (5, 5, false));
        let taken: Vec<_> = ancillary.take_fds().collect();
        assert_eq!(inodes(&taken), inodes(&files));
        assert_eq!((&x, &y, &z), (b"h", b"ell", b"o\0\0\0\0\0\0\0"));
    }
}

fn more_than_1024_pieces_are_for_a_stream_to_cut_and_else_an_error<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let is_stream = T::TYPE == libc::SOCK_STREAM;
    let pieces = vec![IoSlice::new(b"x"); 1025];
    let (most, too_many) = (&pieces[..1024], &pieces[..]);
    let send = |data| with_writer(|none| a.send_with(data, none, SendOptions::new()));
    assert_eq!(send(most).map(|sent| sent.bytes), Ok(1024));
    let function = with_writer(|none| afunix::send_with(&a, too_many, none, SendOptions::new()));
    assert_eq!(function, Err(SendError::Kernel(Errno::MSGSIZE)));
    let method = send(too_many).map(|sent| sent.bytes);
    assert_eq!(method, if is_stream { Ok(1024) } else { Err(SendError::Kernel(Errno::MSGSIZE)) });

    let mut bytes = vec![[0]; 1025];
    let mut data: Vec<_> = bytes.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
    let mut none = AncillaryBuf::<0>::new();
    let too_many = RecvError::Kernel(Errno::MSGSIZE);
    let function = afunix::recv_with(&b, &mut data, &mut none, RecvOptions::new());
    assert_eq!(function.unwrap_err(), too_many);
    let method = b.recv_with(&mut data, &mut none, RecvOptions::new());
    if is_stream {
        assert_eq!(method.unwrap().0.bytes, 1024);
    } else {
        assert_eq!(method.unwrap_err(), too_many);
    }
    let function = afunix::recv_with(&b, &mut data[1..], &mut none, RecvOptions::new());
    assert_eq!(function.unwrap().0.bytes, 1024);
    assert_eq!(now(&b).unwrap_err(), NOTHING);
}

fn call_that_may_not_wait_says_so<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let nonblocking = || RecvOptions::new().nonblocking();
    assert_eq!(got(&b, 4, nonblocking()).unwrap_err(), NOTHING);
    assert_eq!(got_of(&b, 4, nonblocking()).unwrap_err(), NOTHING);
    let files = files(1);
    let mut buf = AncillaryBuf::<64>::new();
    let mut writer = buf.writer();
    writer.push_fds(&lend(&files)).unwrap();
    let data = vec![0; 10_000];
    let send = || a.send_with(&[IoSlice::new(&data)], &writer, SendOptions::new().nonblocking());
    let mut sent = 0;
    let error = loop {
        match send() {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SendError::Kernel(Errno::AGAIN));
    assert!(sent > 3);
    // The socket was not set to it, and each that went has its descriptor.
    let mut came = 0;
    while let Ok(got) = got(&b, 10_000, nonblocking()) {
        assert_eq!(inodes(&got.fds), inodes(&files));
        came += 1;
    }
    assert_eq!(came, sent);
    let flags = crate::common::identity(&a).3 | crate::common::identity(&b).3;
    assert_eq!(flags & libc::O_NONBLOCK, 0);
}

fn message_that_is_cut_has_its_true_size_and_its_descriptors<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let files = files(2);
    let send = || a.send_fds(b"0123456789", &lend(&files)).unwrap();
    for room in [0, 1, 9, 10, 11] {
        let fits = room.min(10);
        (0..2).for_each(|_| assert_eq!(send().bytes, 10));
        let got = get(&b, room);
        assert_eq!((got.received.bytes, got.received.size), (fits, 10));
        assert_eq!(got.received.is_truncated(), room < 10);
        assert_eq!((&got.data[..], inodes(&got.fds)), (&b"0123456789"[..fits], inodes(&files)));
        let (received, fds) = b.recv_fds_exact::<2>(&mut vec![0; room]).unwrap();
        assert_eq!((received.bytes, received.size), (fits, 10));
        assert_eq!(inodes(&fds), inodes(&files));
        // An error tells the sizes too.
        send();
        let error = b.recv_fds_exact::<1>(&mut vec![0; room]).unwrap_err();
        let RecvError::WrongCount { bytes, size: 10, .. } = error else { panic!("{error:?}") };
        assert_eq!(bytes, fits);
    }
    assert_eq!(now(&b).unwrap_err(), NOTHING);
}

/// Receives with the sender's address, by the method and by the function.
fn senders<T: Passes>(socket: &T) -> [UnixAddr; 2] {
    let (mut method, mut function) = (name("before"), name("before"));
    got(socket, 1, RecvOptions::new().from(&mut method)).unwrap();
    got_of(socket, 1, RecvOptions::new().from(&mut function)).unwrap();
    [method, function]
}

#[test]
fn datagram_goes_to_an_address_and_tells_its_sender_s() {
    let _watchdog = Watchdog::new();
    let folder = TempDir::new();
    let long = crate::common::addr(folder.path_of_len(108));
    let (inbox, there) = UnixDatagram::autobind().unwrap();
    inbox.set_passcred(true).unwrap();
    let senders_names = [long, name("sender"), folder.addr("s")];
    for own in senders_names.into_iter().map(Some).chain([None]) {
        let socket = match &own {
            Some(own) => UnixDatagram::bind(own).unwrap(),
            None => UnixDatagram::unbound().unwrap(),
        };
        for function in [false, true] {
            let options = SendOptions::new().to(&there);
            let data = &[IoSlice::new(b"x")];
            let sent = with_writer(|none| match function {
                true => afunix::send_with(&socket, data, none, options),
                false => socket.send_with(data, none, options),
            });
            assert_eq!(sent.map(|sent| sent.bytes), Ok(1));
        }
        assert_eq!(senders(&inbox), [own.unwrap_or(UnixAddr::UNNAMED); 2]);
    }
    // And to a path of that length, which is to be found without its NUL.
    let other = TempDir::new();
    let long = crate::common::addr(other.path_of_len(108));
    let inbox = UnixDatagram::bind(&long).unwrap();
    let data = &[IoSlice::new(b"long")];
    let socket = UnixDatagram::unbound().unwrap();
    with_writer(|none| socket.send_with(data, none, SendOptions::new().to(&long))).unwrap();
    assert_eq!(get(&inbox, 4).data, b"long");
}

fn peer_of_a_connection_is_the_sender<T: Passes + Connects>(_: &str) {
    let listener = T::Listener::bind(&name("server")).unwrap();
    let there = listener.local_addr().unwrap();
    let is_stream = T::TYPE == libc::SOCK_STREAM;
    for own in [Some(name("client")), None] {
        let client = match &own {
            Some(own) => T::connect_from_to(own, &there).unwrap(),
            None => T::connect(&there).unwrap(),
        };
        let (connection, _) = listener.accept().unwrap();
        for _ in 0..2 {
            client.put(b"x").unwrap();
            connection.put(b"x").unwrap();
        }
        assert_eq!(senders(&connection), [own.unwrap_or(UnixAddr::UNNAMED); 2]);
        assert_eq!(senders(&client), [there; 2]);
        // At the end nobody has sent anything.
        drop(client);
        assert_eq!(senders(&connection), [UnixAddr::UNNAMED; 2]);
        // The peer is known; an address makes no sense to a stream, and is no matter to the other.
        let (a, _b) = T::pair().unwrap();
        let data = &[IoSlice::new(b"x")];
        let to = || SendOptions::new().to(&there);
        let sent = with_writer(|none| a.send_with(data, none, to())).map(|sent| sent.bytes);
        assert_eq!(sent, if is_stream { Err(SendError::Kernel(Errno::ISCONN)) } else { Ok(1) });
        let fresh = T::unbound().unwrap();
        let sent = with_writer(|none| fresh.send_with(data, none, to()));
        let errno = if is_stream { Errno::OPNOTSUPP } else { Errno::NOTCONN };
        assert_eq!(sent, Err(SendError::Kernel(errno)));
    }
}

#[test]
fn errors_are_the_kernel_s_where_there_is_no_peer() {
    let _watchdog = Watchdog::new();
    let (stream, seqpacket) = (UnixStream::unbound().unwrap(), UnixSeqpacket::unbound().unwrap());
    let datagram = UnixDatagram::unbound().unwrap();
    let kernel = |errno| (Some(SendError::Kernel(errno)), Some(RecvError::Kernel(errno)));
    let files = files(1);
    let lent = lend(&files);
    let sends = [
        stream.send_fds(b"x", &lent),
        seqpacket.send_fds(b"x", &lent),
        datagram.send_fds(b"x", &lent),
    ];
    assert!(sends.into_iter().all(|sent| sent.err() == kernel(Errno::NOTCONN).0));
    assert_eq!(now(&stream).err(), kernel(Errno::INVAL).1);
    assert_eq!(now(&seqpacket).err(), kernel(Errno::NOTCONN).1);
    assert_eq!(now(&datagram).err(), kernel(Errno::AGAIN).1);
    // What is no socket at all, and what is asked whether it is a stream.
    let file = plain::files(1).remove(0);
    let refused = Err(SendError::Kernel(Errno::NOTSOCK));
    assert_eq!(afunix::send_fds(&file, b"x", &lent), refused);
    assert_eq!(afunix::send_fds(&file, b"", &lent), refused);
    assert_eq!(
        afunix::recv_fds::<1>(&file, &mut [0]).map(drop),
        Err(RecvError::Kernel(Errno::NOTSOCK))
    );
}

/// See "The end with data unread" in `kernel.md`.
fn peer_that_closes_with_something_unread_is_an_error_once<T: Passes>(test: &str) {
    // A process of its own, so that no other's child has a copy of what is closed.
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let files = files(1);
        a.send_fds(b"last", &lend(&files)).unwrap();
        b.send_fds(b"x", &lend(&files)).unwrap();
        drop(a);
        let reset = |b: &T| {
            let error = b.recv_fds::<1>(&mut [0; 4]).unwrap_err();
            assert_eq!(error, RecvError::Kernel(Errno::CONNRESET));
        };
        let is_stream = T::TYPE == libc::SOCK_STREAM;
        if !is_stream {
            reset(&b);
        }
        // No descriptor was lost to it.
        let (received, [fd]) = b.recv_fds_exact::<1>(&mut [0; 8]).unwrap();
        assert_eq!((received.bytes, inodes([&fd])), (4, inodes(&files)));
        if is_stream {
            reset(&b);
        }
        let (received, fds) = b.recv_fds::<1>(&mut [0; 4]).unwrap();
        assert_eq!((received.bytes, fds.len()), (0, 0));
    });
}
