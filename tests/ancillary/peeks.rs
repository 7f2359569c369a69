//! Looks at data that leave it in the queue.

use afunix::{AncillaryBuf, IoSliceMut, RecvOptions, Truncation};

use crate::common::{open_fds, passes_in_child};
use crate::methods::{NOTHING, Passes, get, got, got_of, lend, mine, now};
use crate::plain::{self, files, inodes};

for_data!(
    peek_without_a_control_buffer_leaves_all_in_the_queue
    peek_at_what_has_no_control_messages_is_whole
    peek_at_a_socket_that_tells_credentials_is_truncated_and_no_error
);

/// See "Each peek installs descriptors again" in `kernel.md`.
fn peek_without_a_control_buffer_leaves_all_in_the_queue<T: Passes>(test: &str) {
    // A process of its own, because descriptors are counted.
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let files = files(2);
        let numbers = inodes(&files);
        a.send_fds(b"look", &lend(&files)).unwrap();
        let before = open_fds();
        // The kernel makes new ones at each look.
        let looks = [(); 3].map(|()| plain::recv(&b, &mut [0; 4], 64, libc::MSG_PEEK).unwrap());
        assert!(looks.iter().all(|look| inodes(&look.fds) == numbers && !look.is_truncated()));
        assert_eq!(open_fds().len(), before.len() + 6);
        drop(looks);
        // Not without a control buffer.
        let look = plain::recv(&b, &mut [0; 4], 0, libc::MSG_PEEK).unwrap();
        assert_eq!((look.bytes, look.is_truncated()), (4, true));
        // So ours has none, whatever is given, and that is no error.
        for _ in 0..3 {
            let peek = || RecvOptions::new().peek();
            for look in [got(&b, 3, peek()), got_of(&b, 3, peek()), got(&b, 3, peek().lossy())] {
                let look = look.unwrap();
                assert_eq!((look.data.as_slice(), look.fds.len()), (&b"loo"[..], 0));
                assert_eq!(look.truncation, Some(Truncation::BufferFull));
                assert_eq!(look.credentials, None);
                assert!(matches!(look.pidfd, Ok(None)));
            }
        }
        assert_eq!(open_fds(), before);
        // All is there still.
        let got = get(&b, 4);
        assert_eq!((got.data.as_slice(), inodes(&got.fds)), (&b"look"[..], numbers));
        drop(got);
        assert_eq!(now(&b).unwrap_err(), NOTHING);
        assert_eq!(open_fds(), before);
    });
}

fn peek_at_what_has_no_control_messages_is_whole<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let nothing = got(&b, 4, RecvOptions::new().peek().nonblocking());
    assert_eq!(nothing.unwrap_err(), NOTHING);
    a.put(b"look").unwrap();
    for _ in 0..2 {
        let look = got(&b, 4, RecvOptions::new().peek().nonblocking()).unwrap();
        assert_eq!((look.data.as_slice(), look.truncation), (&b"look"[..], None));
    }
    // Several pieces, and the size of what is longer.
    let (mut first, mut second) = ([0; 1], [0; 2]);
    let data = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    let mut none = AncillaryBuf::<0>::new();
    let (received, _) = b.recv_with(data, &mut none, RecvOptions::new().peek()).unwrap();
    let size = if T::TYPE == libc::SOCK_STREAM { 3 } else { 4 };
    assert_eq!((received.bytes, received.size), (3, size));
    assert_eq!((&first, &second), (b"l", b"oo"));
    assert_eq!(get(&b, 4).data, b"look");
}

fn peek_at_a_socket_that_tells_credentials_is_truncated_and_no_error<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_passcred(true).unwrap();
    a.put(b"x").unwrap();
    for _ in 0..2 {
        let look = got_of(b.as_fd(), 4, RecvOptions::new().peek()).unwrap();
        assert_eq!((look.credentials, look.truncation), (None, Some(Truncation::BufferFull)));
    }
    assert_eq!(get(&b, 4).credentials, Some(mine()));
}
