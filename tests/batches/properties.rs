//! A batch is what its messages are, one by one.

use afunix::{
    AncillaryBuf, AsFd, AsRawFd, BatchBuf, Errno, IoSlice, IoSliceMut, RecvError, RecvOptions,
    SendError, SendOptions, Space, UnixAddr, UnixDatagram, UnixSeqpacket, UnixStream,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::emulated::{NO_PIECES, left_out_by_qemu};
use crate::common::kinds::Socket;
use crate::common::passes::Passes;
use crate::common::{identity, unique};
use crate::ways::{Free, Method, Way};

/// How many a batch has at most.
const MOST: usize = 24;
const ROOM: usize = Space::new().rights::<3>().bytes();

/// A message to be sent.
#[derive(Clone, Debug)]
struct Sent {
    pieces: Vec<Vec<u8>>,
    fds: usize,
    /// Whether it may be sent by a plain push.
    plain: bool,
}

/// A buffer to be received into.
#[derive(Clone, Copy, Debug)]
struct Into {
    room: usize,
    controlled: bool,
    named: bool,
}

/// What came.
#[derive(Debug, Eq, PartialEq)]
struct Came {
    data: Vec<u8>,
    size: usize,
    /// The inodes of the descriptors, or how many were closed.
    fds: Result<Vec<u64>, usize>,
    from: Option<UnixAddr>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let len = prop_oneof![4 => 0..20_usize, 1 => 0..3000_usize, 1 => Just(300_000)];
    let piece = (len, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    let fds = prop_oneof![3 => Just(0), 2 => 0..6_usize, 1 => Just(254)];
    let least = usize::from(left_out_by_qemu(NO_PIECES));
    (vec(piece, least..4), fds, any::<bool>()).prop_map(|(pieces, fds, plain)| {
        let plain = plain && fds == 0;
        let pieces = if plain { vec![pieces.concat()] } else { pieces };
        Sent { pieces, fds, plain }
    })
}

/// As [`sent`], each with a byte at least and so short that all find room.
fn sent_bytes() -> impl Strategy<Value = Sent> {
    sent().prop_map(|mut message| {
        message.pieces.iter_mut().for_each(|piece| piece.truncate(100));
        message.pieces.push(vec![0xaa]);
        message.plain = false;
        message
    })
}

fn into() -> impl Strategy<Value = Into> {
    let room = prop_oneof![4 => 0..24_usize, 1 => Just(4000)];
    (room, any::<bool>(), any::<bool>()).prop_map(|(room, controlled, named)| Into {
        room,
        controlled,
        named,
    })
}

/// The answers to each message, until the queue is full: sent, or by which error not.
fn send_one_by_one<W: Way>(
    socket: &W,
    messages: &[Sent],
    file: &UnixStream,
) -> Vec<Option<SendError>> {
    let fds = [file.as_fd(); 254];
    let mut answers = Vec::new();
    for message in messages {
        let mut control = Box::new(AncillaryBuf::<1200>::new());
        let mut writer = control.writer();
        // Two headers may have more together than one message.
        for some in fds[..message.fds].chunks(200) {
            writer.push_fds(some).unwrap();
        }
        let pieces: Vec<_> = message.pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let answer = socket.send_with(&pieces, &writer, SendOptions::new().nonblocking());
        answers.push(answer.err());
        if answers.last() == Some(&Some(SendError::Kernel(Errno::AGAIN))) {
            break;
        }
    }
    answers
}

/// The same by batches of at most `size`, of which each that fails is passed over.
fn send_by_batches<W: Way>(
    socket: &W,
    messages: &[Sent],
    file: &UnixStream,
    size: usize,
    memory: &mut BatchBuf<MOST>,
) -> Vec<Option<SendError>> {
    let fds = [file.as_fd(); 254];
    let mut answers = Vec::new();
    for some in messages.chunks(size) {
        let mut controls: Vec<_> = some.iter().map(|_| AncillaryBuf::<1200>::new()).collect();
        let mut writers: Vec<_> = controls.iter_mut().map(AncillaryBuf::writer).collect();
        for (writer, message) in writers.iter_mut().zip(some) {
            for some in fds[..message.fds].chunks(200) {
                writer.push_fds(some).unwrap();
            }
        }
        let pieces: Vec<Vec<_>> = some
            .iter()
            .map(|message| message.pieces.iter().map(|piece| IoSlice::new(piece)).collect())
            .collect();
        let mut batch = memory.sender();
        for ((message, pieces), writer) in some.iter().zip(&pieces).zip(&writers) {
            if message.plain {
                batch.push(&message.pieces[0]).unwrap();
            } else {
                batch.push_with(pieces, writer, None).unwrap();
            }
        }
        batch.set_nonblocking(true);
        while batch.unsent() > 0 {
            let before = batch.sent();
            match socket.send_batch(&mut batch) {
                Ok(count) => {
                    assert!(count > 0);
                    assert_eq!(batch.sent(), before + count);
                    answers.extend((0..count).map(|_| None));
                }
                Err(error) => {
                    assert_eq!(batch.sent(), before);
                    answers.push(Some(error));
                    if error == SendError::Kernel(Errno::AGAIN) {
                        return answers;
                    }
                    batch.skip();
                }
            }
        }
    }
    answers
}

fn came(
    data: Vec<u8>,
    size: usize,
    fds: Result<Vec<u64>, RecvError>,
    from: Option<UnixAddr>,
) -> Came {
    let closed = |error| match error {
        RecvError::ControlTruncated { closed, .. } => closed,
        error => panic!("{error:?}"),
    };
    Came { data, size, fds: fds.map_err(closed), from }
}

/// All that is there, one by one.
fn receive_one_by_one<W: Way>(socket: &W, buffers: &[Into]) -> Vec<Came> {
    let mut all = Vec::new();
    for buffer in buffers.iter().cycle() {
        let (mut buf, mut control) = (vec![0; buffer.room], AncillaryBuf::<ROOM>::new());
        let (mut none, mut from) = (AncillaryBuf::<0>::new(), UnixAddr::UNNAMED);
        let options = RecvOptions::new().nonblocking();
        let options = if buffer.named { options.from(&mut from) } else { options };
        let pieces = &mut [IoSliceMut::new(&mut buf)];
        let answer = if buffer.controlled {
            socket.recv_with(pieces, &mut control, options)
        } else {
            socket.recv_with(pieces, &mut none, options)
        };
        let (bytes, size, fds) = match answer {
            Ok((received, mut ancillary)) => {
                let inodes = ancillary.take_fds().map(|fd| identity(&fd).1).collect();
                (received.bytes, received.size, Ok(inodes))
            }
            Err(RecvError::Kernel(errno)) => {
                assert_eq!(errno, Errno::AGAIN);
                break;
            }
            Err(error) => {
                let RecvError::ControlTruncated { bytes, size, .. } = error else {
                    panic!("{error:?}")
                };
                (bytes, size, Err(error))
            }
        };
        all.push(came(buf[..bytes].to_vec(), size, fds, buffer.named.then_some(from)));
    }
    all
}

/// The same by batches, which are as long as the buffers are many.
fn receive_by_batches<W: Way>(
    socket: &W,
    buffers: &[Into],
    memory: &mut BatchBuf<MOST>,
) -> Vec<Came> {
    let mut bufs: Vec<_> = buffers.iter().map(|buffer| vec![0; buffer.room]).collect();
    let mut controls: Vec<_> = buffers.iter().map(|_| AncillaryBuf::<ROOM>::new()).collect();
    let mut froms = vec![UnixAddr::UNNAMED; buffers.len()];
    let mut batch = memory.receiver();
    for (((buffer, buf), control), from) in
        buffers.iter().zip(&mut bufs).zip(&mut controls).zip(&mut froms)
    {
        match (buffer.controlled, buffer.named) {
            (false, false) => batch.push(buf).unwrap(),
            (false, true) => batch.push_from(buf, from).unwrap(),
            (true, named) => batch.push_with(buf, control, named.then_some(from)).unwrap(),
        }
    }
    batch.set_nonblocking(true);
    let mut all = Vec::new();
    loop {
        match socket.recv_batch(&mut batch) {
            Ok(messages) => {
                assert!(messages.len() > 0);
                let full = messages.len() == buffers.len();
                for mut message in messages {
                    let inodes = message.take_ancillary().map(|mut ancillary| {
                        ancillary.take_fds().map(|fd| identity(&fd).1).collect()
                    });
                    assert_eq!(message.data.len(), message.received.bytes);
                    let (data, size) = (message.data.to_vec(), message.received.size);
                    all.push(came(data, size, inodes, message.from.copied()));
                }
                if !full {
                    return all;
                }
            }
            Err(errno) => {
                assert_eq!(errno, Errno::AGAIN);
                return all;
            }
        }
    }
}

/// A pair of which the first has a name.
fn named_pair<W: Way<Socket = UnixDatagram>>() -> (W, W) {
    let (a, b) = UnixDatagram::pair().unwrap();
    let text = format!("afunix-batch-{}-{}", std::process::id(), unique());
    a.bind_to(&UnixAddr::from_abstract_name(text.as_bytes()).unwrap()).unwrap();
    (W::from(a), W::from(b))
}

fn check<W: Way>(
    pairs: [(W, W); 2],
    messages: &[Sent],
    buffers: &[Into],
    size: usize,
) -> Result<(), TestCaseError> {
    let file = UnixStream::unbound().unwrap();
    let mut memory = BatchBuf::<MOST>::new();
    let [(a, b), (c, d)] = &pairs;
    let single = send_one_by_one(a, messages, &file);
    let batched = send_by_batches(c, messages, &file, size, &mut memory);
    prop_assert_eq!(single, batched);
    let mut single = receive_one_by_one(b, buffers);
    let batched = receive_by_batches(d, buffers, &mut memory);
    // Each of the senders has its own name.
    let (one, other) = (a.local_addr().unwrap(), c.local_addr().unwrap());
    for came in &mut single {
        came.from = came.from.map(|from| if from == one { other } else { from });
    }
    prop_assert_eq!(single, batched);
    prop_assert!(file.as_raw_fd() >= 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn batches_of_datagrams_are_their_messages(
        messages in vec(sent(), 0..40),
        buffers in vec(into(), 1..MOST),
        size in 1..=MOST,
        by_fd in any::<bool>(),
    ) {
        if by_fd {
            let pairs = [named_pair::<Free<UnixDatagram>>(), named_pair()];
            check(pairs, &messages, &buffers, size)?;
        } else {
            let pairs = [named_pair::<Method<UnixDatagram>>(), named_pair()];
            check(pairs, &messages, &buffers, size)?;
        }
    }

    #[test]
    fn batches_of_packets_are_their_messages(
        messages in vec(sent(), 0..40),
        buffers in vec(into(), 1..MOST),
        size in 1..=MOST,
        by_fd in any::<bool>(),
    ) {
        if by_fd {
            check([Free::<UnixSeqpacket>::pair(), Way::pair()], &messages, &buffers, size)?;
        } else {
            check([Method::<UnixSeqpacket>::pair(), Way::pair()], &messages, &buffers, size)?;
        }
    }

    /// Of a stream, which has neither room for messages without data nor bounds.
    #[test]
    fn batches_of_bytes_are_their_reads(
        messages in vec(sent_bytes(), 0..40),
        buffers in vec(into().prop_map(|into| Into { room: into.room.max(1), ..into }), 1..MOST),
        size in 1..=MOST,
    ) {
        check([Free::<UnixStream>::pair(), Way::pair()], &messages, &buffers, size)?;
    }
}
