//! The functions, over sockets of others.

use afunix::{
    AncillaryBuf, AsFd, IoSlice, OwnedFd, RecvError, RecvOptions, SendError, SendOptions,
};

use crate::common::emulated::is_set;
use crate::methods::{Passes, got_of, lend, mine};
use crate::plain::{files, inodes};

for_data!(functions_do_with_a_bare_descriptor_what_methods_do);

/// What can be asked of any descriptors that are a connected pair.
fn check(a: impl AsFd, b: impl AsFd, is_stream: bool) {
    let (a, b) = (a.as_fd(), b.as_fd());
    let files = files(2);
    let (lent, numbers) = (lend(&files), inodes(&files));
    assert_eq!(afunix::send_fds(a, b"ab", &lent).map(|sent| sent.bytes), Ok(2));
    let (received, fds) = afunix::recv_fds::<3>(b, &mut [0; 4]).unwrap();
    assert_eq!((received.bytes, fds.len(), fds.surplus()), (2, 2, 0));
    assert_eq!(inodes(&fds.into_iter().collect::<Vec<_>>()), numbers);

    assert_eq!(afunix::send_fds(a, b"ab", &lent).map(|sent| sent.bytes), Ok(2));
    let (_, fds) = afunix::recv_fds_exact::<2>(b, &mut [0; 4]).unwrap();
    assert_eq!(inodes(&fds), numbers);
    assert_eq!(afunix::send_fds(a, b"ab", &lent).map(|sent| sent.bytes), Ok(2));
    let error = afunix::recv_fds_exact::<1>(b, &mut [0; 4]).unwrap_err();
    assert!(matches!(error, RecvError::WrongCount { wanted: 1, found: 2, .. }));

    // Whether they may go without data depends on the type, which is asked for.
    match afunix::send_fds(a, b"", &lent) {
        Err(error) => assert!(is_stream && error == SendError::NoData { fds: 2 }),
        Ok(sent) => {
            assert!(!is_stream && sent.bytes == 0);
            let (_, [_, _]) = afunix::recv_fds_exact::<2>(b, &mut []).unwrap();
        }
    }

    assert_eq!(afunix::passcred(b), Ok(false));
    afunix::set_passcred(b, true).unwrap();
    let pidfds = is_set(afunix::set_passpidfd(b, true));
    assert_eq!((afunix::passcred(b), afunix::passpidfd(b)), (Ok(true), Ok(pidfds)));
    let mut buf = AncillaryBuf::<128>::new();
    let mut writer = buf.writer();
    writer.push_fds(&lent).unwrap();
    writer.push_credentials(mine()).unwrap();
    let data = &[IoSlice::new(b"a"), IoSlice::new(b"b")];
    let sent = afunix::send_with(a, data, &writer, SendOptions::new().nonblocking());
    assert_eq!(sent.map(|sent| sent.bytes), Ok(2));
    let got = got_of(b, 4, RecvOptions::new().nonblocking()).unwrap();
    assert_eq!((&got.data[..], inodes(&got.fds)), (&b"ab"[..], numbers));
    assert_eq!((got.credentials, got.has_pidfd()), (Some(mine()), pidfds));
}

fn functions_do_with_a_bare_descriptor_what_methods_do<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let (a, b): (OwnedFd, OwnedFd) = (a.into(), b.into());
    check(&a, b, T::TYPE == libc::SOCK_STREAM);
}

#[cfg(feature = "std")]
#[test]
fn functions_work_on_sockets_of_std() {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    let _watchdog = crate::common::Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    check(&a, &b, true);
    drop(a);
    // Its end is nobody's here too: the type is asked for.
    assert_eq!(got_of(&b, 4, RecvOptions::new()).unwrap().credentials, None);
    let (a, b) = UnixDatagram::pair().unwrap();
    check(&a, &b, false);
    a.send(b"").unwrap();
    assert_eq!(got_of(&b, 4, RecvOptions::new()).unwrap().credentials, Some(mine()));
}
