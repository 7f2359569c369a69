//! Batches: descriptors of many messages, of which some have no room, some find no number, and some are
//! never looked at.

use std::panic::{AssertUnwindSafe, catch_unwind};

use afunix::{
    AncillaryBuf, BatchBuf, BatchMessage, Errno, RecvBatch, RecvError, Space, Truncation, UnixAddr,
    UnixDatagram,
};

use crate::check::{Parcel, leaves_nothing, null, with_left};
use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::common::{Watchdog, open_fds};
use crate::ways::Passing;

leak_tests!(
    message_of_250_amid_others_costs_nothing_that_is_not_closed
    message_that_finds_no_number_is_told_and_the_others_come
    batch_that_is_not_looked_at_is_closed_with_its_memory
    batch_that_is_given_up_at_any_message_closes_the_rest
    batch_that_is_used_again_closes_what_was_left
    batch_that_is_given_up_by_a_panic_closes_the_rest
    batch_without_room_for_descriptors_installs_none
    batch_of_pidfds_closes_them
    batch_at_the_end_of_a_connection_closes_what_came_before
    descriptors_of_a_batch_that_is_not_sent_stay_here
);

/// Room for all that comes in a message of these tests.
type Control = AncillaryBuf<{ Space::new().credentials().rights::<6>().pidfd().bytes() }>;

/// The buffers of a batch.
struct Room<const N: usize> {
    memory: BatchBuf<N>,
    bufs: [[u8; 8]; N],
    controls: [Control; N],
}

impl<const N: usize> Room<N> {
    fn new() -> Self {
        let controls = [const { Control::new() }; N];
        Self { memory: BatchBuf::new(), bufs: [[0; 8]; N], controls }
    }

    fn batch(&mut self) -> RecvBatch<'_> {
        let mut batch = self.memory.receiver();
        for (buf, control) in self.bufs.iter_mut().zip(&mut self.controls) {
            batch.push_with(buf, control, None).unwrap();
        }
        batch
    }
}

fn held(parcels: &[Parcel]) -> Vec<usize> {
    parcels.iter().map(Parcel::held).collect()
}

fn send<P: Passing, const N: usize>(socket: &P, counts: [usize; N]) -> [Parcel; N] {
    counts.map(|count| Parcel::sent(socket, b"word", count))
}

/// How many descriptors a message has, or how many of them were closed and why.
fn count(message: &mut BatchMessage<'_>) -> Result<usize, (usize, Truncation)> {
    assert_eq!(message.data, b"word");
    match message.take_ancillary() {
        Ok(ancillary) => Ok(ancillary.fds().count()),
        Err(RecvError::ControlTruncated { bytes: 4, size: 4, closed, cause, .. }) => {
            Err((closed, cause))
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn message_of_250_amid_others_costs_nothing_that_is_not_closed<P: Passing>() {
    // As many as whole numbers fit.
    const ONE: usize = Space::new().rights::<1>().bytes();
    const FITS: usize = (ONE - size_of::<usize>() - 8) / 4;
    if left_out_by_qemu(CUT) {
        return;
    }
    let (a, b) = P::pair();
    let parcels = send(&a, [1, 250, 1]);
    let mut controls = [const { AncillaryBuf::<ONE>::new() }; 3];
    let (mut memory, mut bufs) = (BatchBuf::<3>::new(), [[0; 8]; 3]);
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(&mut controls) {
        batch.push_with(buf, control, None).unwrap();
    }
    let messages = afunix::recv_batch(&b, &mut batch).unwrap();
    assert_eq!(held(&parcels), [1, FITS, 1]);
    let mut counts = Vec::new();
    for (at, mut message) in messages.enumerate() {
        counts.push(count(&mut message));
        assert_eq!(parcels[at].held(), 0);
    }
    assert_eq!(counts, [Ok(1), Err((FITS, Truncation::BufferFull)), Ok(1)]);
    parcels.iter().for_each(Parcel::assert_gone);
    // Lossy, it has what fits.
    let parcels = send(&a, [1, 250, 1]);
    let mut messages: Vec<_> = afunix::recv_batch(&b, &mut batch).unwrap().collect();
    let ancillary = messages[1].take_ancillary_lossy();
    assert_eq!(ancillary.truncation(), Some(Truncation::BufferFull));
    assert_eq!(ancillary.fds().count(), FITS);
    drop(messages);
    // It outlives the message.
    assert_eq!(held(&parcels), [0, FITS, 0]);
    drop(ancillary);
    parcels.iter().for_each(Parcel::assert_gone);
}

/// See "No free descriptor is no error" in `kernel.md`.
fn message_that_finds_no_number_is_told_and_the_others_come<P: Passing>() {
    let sent = [2, 1, 2, 2];
    for left in 0..=8 {
        let ((a, b), mut room) = (P::pair(), Room::<4>::new());
        let parcels = send(&a, sent);
        let mut batch = room.batch();
        with_left(left, || drop(afunix::recv_batch(&b, &mut batch).unwrap()));
        // First come, first served.
        let mut numbers = usize::try_from(left).unwrap();
        let came = sent.map(|count| {
            let came = count.min(numbers);
            numbers -= came;
            came
        });
        assert_eq!(held(&parcels), came);
        let told: Vec<_> = batch.messages().map(|mut message| count(&mut message)).collect();
        let expected = came.into_iter().zip(sent).map(|(came, sent)| match came == sent {
            true => Ok(sent),
            false => Err((came, Truncation::NotInstalled)),
        });
        assert_eq!(told, expected.collect::<Vec<_>>());
        drop(batch);
        parcels.iter().for_each(Parcel::assert_gone);
        // The socket is none the worse.
        let parcels = send(&a, [1, 3]);
        let counts: Vec<_> = afunix::recv_batch(&b, &mut room.batch())
            .unwrap()
            .map(|mut message| count(&mut message))
            .collect();
        assert_eq!(counts, [Ok(1), Ok(3)]);
        parcels.iter().for_each(Parcel::assert_gone);
    }
}

fn batch_that_is_not_looked_at_is_closed_with_its_memory<P: Passing>() {
    let (a, b) = P::pair();
    let mut room = Room::<4>::new();
    let parcels = send(&a, [3, 1, 6]);
    let mut batch = room.batch();
    drop(afunix::recv_batch(&b, &mut batch).unwrap());
    assert_eq!(held(&parcels), [3, 1, 6]);
    drop(batch.messages());
    assert_eq!(held(&parcels), [3, 1, 6]);
    drop(batch);
    parcels.iter().for_each(Parcel::assert_gone);
    // Another one in the same memory knows nothing of them.
    let mut batch = room.batch();
    assert_eq!(batch.messages().len(), 0);
    drop(batch);
    assert_eq!(room.memory.capacity(), 4);
}

fn batch_that_is_given_up_at_any_message_closes_the_rest<P: Passing>() {
    let (a, b) = P::pair();
    for taken in 0..=4 {
        for way in 0..4 {
            let (parcels, mut room) = (send(&a, [1, 2, 3, 4]), Room::<4>::new());
            let all = [1, 2, 3, 4];
            let mut batch = room.batch();
            let mut messages = afunix::recv_batch(&b, &mut batch).unwrap();
            let mut kept = Vec::new();
            for _ in 0..taken {
                let mut message = messages.next().unwrap();
                match way {
                    0 => drop(message),
                    1 => drop(message.take_ancillary().unwrap()),
                    2 => kept.extend(message.take_ancillary().unwrap().take_fds().next()),
                    _ => kept.extend(message.take_ancillary_lossy().take_fds()),
                }
            }
            let rest = || all.iter().enumerate().map(|(at, all)| if at < taken { 0 } else { *all });
            let of_taken = |at: usize| match way {
                0 | 1 => 0,
                2 => 1,
                _ => all[at],
            };
            let expected: Vec<_> = rest()
                .enumerate()
                .map(|(at, n)| if at < taken { of_taken(at) } else { n })
                .collect();
            assert_eq!(held(&parcels), expected, "{taken} {way}");
            if way % 2 == 0 {
                drop(messages);
                assert_eq!(batch.messages().len(), 4 - taken);
            } else {
                // All that is left, and the batch outlived by what was taken.
                assert_eq!(messages.by_ref().count(), 4 - taken);
                assert!(messages.next().is_none());
                drop(messages);
            }
            drop(batch);
            let expected: Vec<_> =
                (0..4).map(|at| if at < taken { of_taken(at) } else { 0 }).collect();
            assert_eq!(held(&parcels), expected, "{taken} {way}");
            drop(kept);
            parcels.iter().for_each(Parcel::assert_gone);
        }
    }
}

fn batch_that_is_used_again_closes_what_was_left<P: Passing>() {
    let (a, b) = P::pair();
    b.set_nonblocking(true);
    let mut room = Room::<3>::new();
    let mut batch = room.batch();
    for taken in 0..=3 {
        let first = send(&a, [2, 1, 3]);
        assert_eq!(afunix::recv_batch(&b, &mut batch).unwrap().take(taken).count(), taken);
        let second = send(&a, [5]);
        assert_eq!(afunix::recv_batch(&b, &mut batch).unwrap().len(), 1);
        first.iter().for_each(Parcel::assert_gone);
        assert_eq!(held(&second), [5]);
        // What fails closes them too.
        assert_eq!(afunix::recv_batch(&b, &mut batch).map(|_| ()), Err(Errno::AGAIN));
        second.iter().for_each(Parcel::assert_gone);
        assert_eq!(batch.messages().len(), 0);
    }
}

fn batch_that_is_given_up_by_a_panic_closes_the_rest<P: Passing>() {
    let (a, b) = P::pair();
    let (parcels, mut room) = (send(&a, [1, 2, 3]), Room::<3>::new());
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let mut batch = room.batch();
        for (at, mut message) in afunix::recv_batch(&b, &mut batch).unwrap().enumerate() {
            let _ancillary = message.take_ancillary().unwrap();
            // A message of a panic would be one for those who read the output of the tests.
            if at == 1 {
                std::panic::resume_unwind(Box::new("given up"));
            }
        }
    }));
    assert!(panics.is_err());
    parcels.iter().for_each(Parcel::assert_gone);
}

/// See "Descriptors sent along" in `kernel.md`.
fn batch_without_room_for_descriptors_installs_none<P: Passing>() {
    let (a, b) = P::pair();
    let (parcels, before) = (send(&a, [1, 250, 2]), open_fds().len());
    let (mut memory, mut bufs, mut from) = (BatchBuf::<3>::new(), [[0; 8]; 3], UnixAddr::UNNAMED);
    let [first, second, third] = &mut bufs;
    let mut none = AncillaryBuf::<0>::new();
    let mut batch = memory.receiver();
    batch.push(first).unwrap();
    batch.push_with(second, &mut none, None).unwrap();
    batch.push_from(third, &mut from).unwrap();
    let messages = afunix::recv_batch(&b, &mut batch).unwrap();
    assert_eq!((messages.len(), open_fds().len()), (3, before));
    for mut message in messages {
        assert_eq!(count(&mut message), Err((0, Truncation::BufferFull)));
    }
    parcels.iter().for_each(Parcel::assert_gone);
}

fn batch_of_pidfds_closes_them<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let mut room = Room::<4>::new();
    for taken in 0..=3 {
        let parcels = send(&a, [1, 2, 1]);
        let before = open_fds().len();
        let mut batch = room.batch();
        let mut messages = afunix::recv_batch(&b, &mut batch).unwrap();
        assert_eq!(open_fds().len(), before + 4 + 3);
        let pidfds: Vec<_> = messages
            .by_ref()
            .take(taken)
            .map(|mut message| message.take_ancillary().unwrap().take_pidfd().unwrap().unwrap())
            .collect();
        drop(messages);
        drop(batch);
        assert_eq!((pidfds.len(), open_fds().len()), (taken, before + taken));
        parcels.iter().for_each(Parcel::assert_gone);
    }
}

/// See "An end fills the rest of a batch" in `kernel.md`.
fn batch_at_the_end_of_a_connection_closes_what_came_before<P: Passing>() {
    for taken in 0..=2 {
        let (a, b) = P::pair();
        b.set_nonblocking(true);
        b.set_passcred().unwrap();
        let parcels = send(&a, [2, 4]);
        drop(a);
        let mut room = Room::<6>::new();
        let mut batch = room.batch();
        let messages = afunix::recv_batch(&b, &mut batch).unwrap();
        assert_eq!(messages.len(), if P::CONNECTS { 3 } else { 2 });
        assert_eq!(held(&parcels), [2, 4]);
        assert_eq!(messages.take(taken).count(), taken);
        drop(batch);
        parcels.iter().for_each(Parcel::assert_gone);
    }
}

fn descriptors_of_a_batch_that_is_not_sent_stay_here<P: Passing>() {
    let (a, b) = P::pair();
    drop(b);
    let mut parcel = Parcel::new();
    {
        let fds = parcel.times(3);
        let mut control = Control::new();
        let mut writer = control.writer();
        writer.push_fds(&fds).unwrap();
        let data = [afunix::IoSlice::new(b"word")];
        let mut memory = BatchBuf::<2>::new();
        let mut batch = memory.sender();
        batch.push_with(&data, &writer, None).unwrap();
        batch.push_with(&data, &writer, None).unwrap();
        for _ in 0..2 {
            assert!(afunix::send_batch(&a, &mut batch).is_err());
            assert_eq!((batch.sent(), parcel.held()), (0, 1));
        }
    }
    parcel.release();
    parcel.assert_gone();
}

/// Whoever knows the name can send, whatever it likes.
#[test]
fn batch_of_unknown_senders_leaves_nothing() {
    let _watchdog = Watchdog::new();
    leaves_nothing("batches::batch_of_unknown_senders_leaves_nothing", || {
        let (inbox, name) = UnixDatagram::autobind().unwrap();
        let hostile = |count| {
            let sender = UnixDatagram::unbound().unwrap();
            sender.connect(&name).unwrap();
            Parcel::sent(&sender, b"word", count)
        };
        let (many, beyond) = if left_out_by_qemu(CUT) { (6, 6) } else { (253, 7) };
        let parcels = [hostile(1), hostile(many), hostile(0), hostile(beyond)];
        let mut room = Room::<4>::new();
        let mut froms = [name; 4];
        let mut batch = room.memory.receiver();
        for ((buf, control), from) in room.bufs.iter_mut().zip(&mut room.controls).zip(&mut froms) {
            batch.push_with(buf, control, Some(from)).unwrap();
        }
        // The first is answered, and the others are no matter.
        let mut messages = inbox.recv_batch(&mut batch).unwrap();
        assert_eq!(messages.next().unwrap().from, Some(&UnixAddr::UNNAMED));
        drop((messages, null()));
        assert!(parcels[0].is_gone() && !parcels[1].is_gone());
        drop(batch);
        parcels.iter().for_each(Parcel::assert_gone);
    });
}
