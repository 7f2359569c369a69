//! What a batch hands over to be sent.

use core::mem::MaybeUninit;
use core::slice;
use std::vec::Vec;

use rustix::io::IoSlice;

use super::{Post, receive, text};
use crate::addr::UnixAddr;
use crate::sys::batch::{Incoming, Outgoing, Storage};
use crate::sys::msg::BatchHeader;
use crate::sys::tests::control::{room, slots};
use crate::wire::cmsg::SCM_RIGHTS;

/// What `sendmmsg` would find in the headers.
#[derive(Debug, Eq, PartialEq)]
struct Found {
    data: Vec<u8>,
    name: Option<Vec<u8>>,
    control: usize,
}

fn send(batch: &mut Outgoing<'_>, most: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let look = |headers: &mut [BatchHeader]| {
        for BatchHeader { header, len } in headers.iter_mut().take(most) {
            // SAFETY: there are as many as the header says.
            let pieces = unsafe { slice::from_raw_parts(header.pieces, header.piece_count) };
            let bytes = |base: *mut core::ffi::c_void, len: usize| -> Vec<u8> {
                // SAFETY: there are so many, as the header or the piece says.
                unsafe { slice::from_raw_parts(base.cast::<u8>(), len) }.to_vec()
            };
            let data: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| {
                    bytes(piece.iov_base.cast(), usize::try_from(piece.iov_len).unwrap())
                })
                .collect();
            *len = u32::try_from(data.len()).unwrap();
            let name_len = usize::try_from(header.name_len).unwrap();
            let name = (!header.name.is_null()).then(|| bytes(header.name, name_len));
            assert_eq!(header.name.is_null(), name_len == 0);
            let control = match header.control.is_null() {
                true => 0,
                false => bytes(header.control, header.control_len).len(),
            };
            assert_eq!(control, header.control_len);
            found.push(Found { data, name, control });
        }
        Ok(found.len())
    };
    let sent = batch.send_by(usize::MAX, look).unwrap();
    assert_eq!(sent, found.len());
    found
}

fn plain(data: &[u8]) -> Found {
    Found { data: data.to_vec(), name: None, control: 0 }
}

#[test]
fn what_one_message_had_is_not_there_for_the_next_in_its_place() {
    let to = UnixAddr::from_pathname(b"/to").unwrap();
    let control = slots(SCM_RIGHTS, &[7, 8]);
    // SAFETY: a byte that may be unwritten is as large as one, and asks for less.
    let control = unsafe { &*(core::ptr::from_ref(&control[..]) as *const [MaybeUninit<u8>]) };
    let pieces = [IoSlice::new(b"two"), IoSlice::new(b" pieces")];
    let named = || Found { name: Some(to.raw().to_vec()), ..plain(b"named") };
    let rich = || Found {
        data: b"two pieces".to_vec(),
        name: Some(to.raw().to_vec()),
        control: control.len(),
    };
    let mut storage = Storage::<4>::new();
    // Each kind at each place, after each other kind.
    for turn in 0..if cfg!(miri) { 9 } else { 81 } {
        let kinds = [turn % 3, turn / 3 % 3, turn / 9 % 3, turn / 27];
        let mut batch = Outgoing::new(&mut storage);
        let mut expected = Vec::new();
        for kind in kinds {
            match kind {
                0 => batch.push(b"plain").unwrap(),
                1 => batch.push_to(b"named", &to).unwrap(),
                _ => batch.push_with(&pieces, control, Some(&to)).unwrap(),
            }
            expected.push([plain(b"plain"), named(), rich()].into_iter().nth(kind).unwrap());
        }
        assert!(batch.push(b"more").is_none() && batch.push_all(&["more"]).is_none());
        assert!(batch.push_to(b"more", &to).is_none());
        assert!(batch.push_with(&pieces, control, None).is_none());
        assert_eq!((batch.len(), batch.capacity()), (4, 4));
        let fds: Vec<_> = (0..5).map(|at| batch.fds(at)).collect();
        let wanted: Vec<_> =
            expected.iter().map(|found| if found.control > 0 { 2 } else { 0 }).collect();
        assert_eq!(fds[..4], wanted);
        assert_eq!((fds[4], batch.bare_fds()), (0, None));
        // In two calls.
        assert_eq!(send(&mut batch, 3), expected[..3]);
        assert_eq!(batch.last_sent().map(|(bytes, size)| bytes == size), Some(true));
        assert_eq!(batch.sent(), 3);
        assert_eq!(send(&mut batch, 3), expected[3..]);
        // In one, all of them plain.
        batch.clear();
        assert_eq!((batch.len(), batch.sent(), batch.last_sent()), (0, 0, None));
        batch.push(b"1").unwrap();
        batch.push_all(&["2", "3"]).unwrap();
        assert_eq!(send(&mut batch, 4), [plain(b"1"), plain(b"2"), plain(b"3")]);
        // To be received into by the next, with something in the middle.
        let (mut bufs, mut from, mut room) = ([[0_u8; 2]; 4], UnixAddr::UNNAMED, room());
        let [first, second, rest @ ..] = &mut bufs;
        let mut batch = Incoming::new(&mut storage);
        batch.push(first).unwrap();
        batch.push_with(second, &mut room, Some(&mut from)).unwrap();
        batch.push_all(rest).unwrap();
        let (to_bytes, to_len) = super::named(&to);
        let post = Post { name: (&to_bytes, to_len), ..text(b"in") };
        assert_eq!(receive(&mut batch, &[post; 4]), Ok(4));
        let names: Vec<_> = batch.take().map(|message| message.from.copied()).collect();
        assert_eq!(names, [None, Some(to), None, None]);
    }
}

#[test]
fn descriptors_without_data_are_found_among_the_unsent() {
    let (two, one) = (slots(SCM_RIGHTS, &[7, 8]), slots(SCM_RIGHTS, &[7]));
    // SAFETY: a byte that may be unwritten is as large as one, and asks for less.
    let [two, one] = [&two, &one]
        .map(|bytes| unsafe { &*(core::ptr::from_ref(&bytes[..]) as *const [MaybeUninit<u8>]) });
    let (nothing, some) = ([IoSlice::new(b"")], [IoSlice::new(b""), IoSlice::new(b"x")]);
    let mut storage = Storage::<5>::new();
    let mut batch = Outgoing::new(&mut storage);
    batch.push(b"").unwrap();
    batch.push_with(&some, two, None).unwrap();
    assert_eq!(batch.bare_fds(), None);
    batch.push_with(&nothing, two, None).unwrap();
    batch.push_with(&[], one, None).unwrap();
    let found: Vec<_> = (0..6)
        .map(|sent| {
            batch.set_sent(sent);
            batch.bare_fds()
        })
        .collect();
    assert_eq!(found, [Some((2, 2)), Some((2, 2)), Some((2, 2)), Some((3, 1)), None, None]);
    assert_eq!(batch.sent(), 4);
}

#[test]
fn of_no_memory_nothing_is_sent() {
    let mut storage = Storage::<0>::new();
    let mut batch = Outgoing::new(&mut storage);
    assert!(batch.push(b"x").is_none());
    batch.push_all::<&str>(&[]).unwrap();
    assert_eq!((batch.fds(0), batch.bare_fds(), batch.last_sent()), (0, None, None));
    assert_eq!(send(&mut batch, 1), []);
}
