//! Runs one operation as often as it is told, for `benches/run` to count the instructions of.
//!
//! `afunix-benches OPERATION COUNT`; without arguments it lists the operations.

mod by_hand;
mod by_hand_datagrams;
mod by_hand_identity;
mod by_hand_passing;
mod datagrams;
mod identity;
mod ours;
mod passing;

/// Does it once for each turn; set-up and tear-down happen outside the loop.
type Operation = fn(u64);

/// The operation, how it is done with the crate, how by hand on libc, and the ceiling for ours.
const TABLE: &[(&str, Operation, Operation, u32)] = &[
    ("pathname-by-value", ours::pathname_by_value, by_hand::pathname, 80),
    ("pathname-in-place", ours::pathname_in_place, by_hand::pathname, 65),
    ("abstract-name", ours::abstract_name, by_hand::abstract_name, 60),
    ("reply-in-place", ours::reply_in_place, by_hand::reply, 40),
    ("ping-pong-64", ours::ping_pong, by_hand::ping_pong, 42),
    // Sent, received and closed.
    ("1-fd", passing::one_fd, by_hand_passing::one_fd, 120),
    ("1-fd-in-place-of-1", passing::one_fd_in_place::<1>, by_hand_passing::one_fd, 120),
    ("1-fd-in-place-of-16", passing::one_fd_in_place::<16>, by_hand_passing::one_fd, 120),
    ("1-fd-in-place-of-253", passing::one_fd_in_place::<253>, by_hand_passing::one_fd, 120),
    ("1-fd-buffer-of-1", passing::one_fd_with::<{ room(1) }>, by_hand_passing::one_fd, 135),
    ("1-fd-buffer-of-16", passing::one_fd_with::<{ room(16) }>, by_hand_passing::one_fd, 135),
    ("1-fd-buffer-of-253", passing::one_fd_with::<{ room(253) }>, by_hand_passing::one_fd, 135),
    ("16-fds-one-by-one", passing::sixteen_one_by_one, by_hand_passing::sixteen, 340),
    ("16-fds-as-a-whole", passing::sixteen_as_a_whole, by_hand_passing::sixteen, 260),
    ("credentials", passing::credentials, by_hand_passing::credentials, 126),
    ("all-three", passing::all_three, by_hand_passing::all_three, 300),
    // Connected, accepted, identified, both ends closed.
    ("accept-peer", identity::accept_peer, by_hand_identity::accept_peer, 80),
    // 32 messages sent and received.
    ("batch-reused", datagrams::batch_reused, by_hand_datagrams::batch_reused, 12 * 32),
    ("batch-given-anew", datagrams::batch_given_anew, by_hand_datagrams::batch_given_anew, 20 * 32),
    // Received and its sender's path read; of by-value, 14 are the loop and the send before that.
    ("sender-in-place", datagrams::sender_in_place, by_hand_datagrams::sender, 70),
    ("sender-by-value", datagrams::sender_by_value, by_hand_datagrams::sender, 85 + 14),
];

/// Room for so many descriptors.
const fn room(fds: usize) -> usize {
    afunix::Space::new().payload(4 * fds).bytes()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(wanted), Some(count)) = (args.next(), args.next()) else {
        for (name, _, _, ceiling) in TABLE {
            println!("{name} {ceiling}");
        }
        return;
    };
    let count = count.parse().expect("COUNT is a number");
    let (side, wanted) = wanted.split_once('/').expect("OPERATION is ours/NAME or libc/NAME");
    let (_, ours, by_hand, _) =
        TABLE.iter().find(|(name, ..)| *name == wanted).expect("an operation of the list");
    match side {
        "ours" => ours(count),
        "libc" => by_hand(count),
        _ => panic!("{side} is neither ours nor libc"),
    }
}

/// How many messages a batch has, and how many bytes a message.
const BATCH: usize = 32;
const MESSAGE: usize = 64;

/// 40 bytes, as long as many real ones.
const PATH: &[u8; 40] = b"/run/user/1000/service-name/control.sock";
/// 20 bytes.
const NAME: &[u8; 20] = b"service-name-control";
