//! Our sockets against programs in C and in Python, as server and as client: each type, each kind
//! of address. Both sides say what they saw of both addresses, and it must be the same bytes.
//!
//! | address                        | C   | Python                                             |
//! |--------------------------------|-----|----------------------------------------------------|
//! | short path, with a byte 0xff   | all | all                                                |
//! | path of 107 bytes              | all | all                                                |
//! | path of 108 bytes              | all | as its client's name only: it refuses to name one  |
//! | abstract, NUL at each place    | all | all                                                |
//! | abstract, no bytes             | all | all                                                |
//! | abstract, padded               | all | all                                                |
//! | autobound                      | all | all                                                |
//! | unnamed client                 | all | all                                                |
//!
//! A datagram from an unnamed client is not answered, by nobody: there is nothing to send it to.
//!
//! Descriptors and credentials go over a pair, both ways: by the macros of C, and by Python's
//! `send_fds`, `recv_fds`, `sendmsg` and `recvmsg`.

#[path = "../common/mod.rs"]
mod common;

mod cell;
mod fds;
mod name;
mod peer;
mod sockets;

/// A test for each kind of address, of one type of socket, one peer and one direction.
macro_rules! matrix {
    ($($module:ident: $direction:ident($peer:ident, $kind:ident);)+) => {
        $(
            mod $module {
                use crate::cell::{Direction, run};
                use crate::name;
                use crate::peer::{Kind, Peer};

                fn each(names: fn(&crate::common::TempDir) -> name::Names) {
                    run(Direction::$direction, Peer::$peer, Kind::$kind, names);
                }

                #[test]
                fn short_path_is_seen_alike_by_both() {
                    each(name::short_path);
                }

                #[test]
                fn path_of_107_bytes_is_seen_alike_by_both() {
                    each(name::path_of_107);
                }

                #[test]
                fn path_of_108_bytes_is_seen_alike_by_both() {
                    each(name::path_of_108);
                }

                #[test]
                fn abstract_name_with_nuls_is_seen_alike_by_both() {
                    each(name::abstract_with_nuls);
                }

                #[test]
                fn abstract_name_of_no_bytes_is_seen_alike_by_both() {
                    // In turns: what another thread starts has a copy of each socket for a moment,
                    // and so of the name.
                    crate::common::with_empty_name(|| each(name::abstract_empty_server));
                    crate::common::with_empty_name(|| each(name::abstract_empty_client));
                }

                #[test]
                fn padded_abstract_name_is_seen_alike_by_both() {
                    each(name::abstract_padded);
                }

                #[test]
                fn autobound_name_is_seen_alike_by_both() {
                    each(name::autobound);
                }

                #[test]
                fn unnamed_client_is_seen_alike_by_both() {
                    each(name::unnamed_client);
                }
            }
        )+
    };
}

matrix! {
    our_stream_serves_c: OursServes(C, Stream);
    our_stream_asks_c: TheirsServes(C, Stream);
    our_datagram_serves_c: OursServes(C, Datagram);
    our_datagram_asks_c: TheirsServes(C, Datagram);
    our_seqpacket_serves_c: OursServes(C, Seqpacket);
    our_seqpacket_asks_c: TheirsServes(C, Seqpacket);
    our_stream_serves_python: OursServes(Python, Stream);
    our_stream_asks_python: TheirsServes(Python, Stream);
    our_datagram_serves_python: OursServes(Python, Datagram);
    our_datagram_asks_python: TheirsServes(Python, Datagram);
    our_seqpacket_serves_python: OursServes(Python, Seqpacket);
    our_seqpacket_asks_python: TheirsServes(Python, Seqpacket);
}

/// A test for each way that descriptors and credentials go, of one type of socket and one peer.
macro_rules! passing {
    ($($module:ident: $Type:ident, $peer:ident;)+) => {
        $(
            mod $module {
                use afunix::$Type;

                use crate::fds;
                use crate::peer::Peer;

                #[test]
                fn descriptors_of_ours_arrive_there() {
                    fds::ours_gives::<$Type>(Peer::$peer);
                }

                #[test]
                fn descriptors_of_theirs_arrive_here() {
                    fds::theirs_gives::<$Type>(Peer::$peer);
                }

                #[test]
                fn two_messages_of_ours_arrive_there_as_one() {
                    fds::ours_splits::<$Type>(Peer::$peer);
                }

                #[test]
                fn two_messages_of_theirs_arrive_here_as_one() {
                    fds::theirs_splits::<$Type>(Peer::$peer);
                }

                #[test]
                fn credentials_of_ours_are_known_there() {
                    fds::ours_is_known::<$Type>(Peer::$peer);
                }

                #[test]
                fn credentials_of_theirs_are_known_here() {
                    fds::theirs_is_known::<$Type>(Peer::$peer);
                }
            }
        )+
    };
}

passing! {
    our_stream_passes_with_c: UnixStream, C;
    our_datagram_passes_with_c: UnixDatagram, C;
    our_seqpacket_passes_with_c: UnixSeqpacket, C;
    our_stream_passes_with_python: UnixStream, Python;
    our_datagram_passes_with_python: UnixDatagram, Python;
    our_seqpacket_passes_with_python: UnixSeqpacket, Python;
}
