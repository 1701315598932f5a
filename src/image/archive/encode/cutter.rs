//! Where a stream is cut into blocks.
//!
//! A cut that the content decides comes back at the same place of the same content, whatever
//! stands before it: behind an insertion, the blocks are soon the old ones again.

/// How long blocks are. Where `stride` is `None`, all are `most` long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// No cut before this.
    pub(super) least: usize,
    /// Beyond `least`, one byte in 2^`stride` is a place to cut.
    pub(super) stride: Option<u32>,
    /// A cut here at the latest.
    pub(super) most: usize,
}

/// The bytes that the hash remembers: each one is shifted out after as many.
const MEMORY: usize = 64;

/// Finds the end of the block under way.
#[derive(Debug)]
pub(super) struct Cutter {
    lengths: Lengths,
    hash: u64,
    /// How much of the block was seen.
    seen: usize,
}

impl Cutter {
    pub(super) fn new(lengths: Lengths) -> Self {
        Self {
            lengths,
            hash: 0,
            seen: 0,
        }
    }

    /// How many of the next bytes still belong to the block, and whether it ends with them.
    pub(super) fn cut(&mut self, bytes: &[u8]) -> (usize, bool) {
        let room = self.lengths.most - self.seen;
        let bytes = bytes.get(..room).unwrap_or(bytes);
        let found = self
            .lengths
            .stride
            .and_then(|stride| self.find(stride, bytes));
        let length = found.unwrap_or(bytes.len());
        self.seen += length;
        let ends = found.is_some() || self.seen == self.lengths.most;
        if ends {
            (self.hash, self.seen) = (0, 0);
        }
        (length, ends)
    }

    /// The length up to the first place to cut. The hash begins to look as late as it can.
    fn find(&mut self, stride: u32, bytes: &[u8]) -> Option<usize> {
        let blind = (self.lengths.least - MEMORY).saturating_sub(self.seen);
        let mask = u64::MAX << (u64::BITS - stride);
        let mut hash = self.hash;
        for (at, byte) in bytes.iter().enumerate().skip(blind) {
            hash = (hash << 1).wrapping_add(GEAR.of(*byte));
            if hash & mask == 0 && self.seen + at + 1 >= self.lengths.least {
                return Some(at + 1);
            }
        }
        self.hash = hash;
        None
    }
}

/// A random number for each byte.
struct Gear([u64; 256]);

static GEAR: Gear = Gear::new();

impl Gear {
    fn of(&self, byte: u8) -> u64 {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }

    /// `SplitMix64` from a fixed seed: images made by different versions are to have equal blocks.
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler, which checks it"
    )]
    const fn new() -> Self {
        let mut numbers = [0; 256];
        let (mut state, mut at) = (0_u64, 0);
        while at < numbers.len() {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            numbers[at] = mixed ^ (mixed >> 31);
            at += 1;
        }
        Self(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::archive::encode::tests::noise;

    const LENGTHS: Lengths = Lengths {
        least: 256,
        stride: Some(8),
        most: 2048,
    };

    fn blocks(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut cutter = Cutter::new(LENGTHS);
        let (mut blocks, mut block) = (Vec::new(), Vec::new());
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() {
                let (length, ends) = cutter.cut(piece);
                block.extend_from_slice(&piece[..length]);
                piece = &piece[length..];
                if ends {
                    blocks.push(std::mem::take(&mut block));
                }
            }
        }
        blocks.push(block);
        blocks
    }

    #[test]
    fn cuts_do_not_depend_on_how_the_bytes_arrive() {
        let bytes = noise(100_000);
        let whole = blocks(&bytes, bytes.len());
        assert!(whole.len() > 100, "{}", whole.len());
        for piece in [1, 63, 64, 65, 1000, 4096] {
            assert_eq!(blocks(&bytes, piece), whole, "{piece}");
        }
    }

    #[test]
    fn blocks_are_neither_too_short_nor_too_long() {
        for bytes in [noise(100_000), vec![0; 100_000]] {
            let mut blocks = blocks(&bytes, 777);
            blocks.pop();
            for block in blocks {
                assert!((256..=2048).contains(&block.len()), "{}", block.len());
            }
        }
    }

    #[test]
    fn behind_an_insertion_the_blocks_are_the_old_ones() {
        let old = noise(100_000);
        let mut new = old.clone();
        new.insert(500, 7);
        let (old, new) = (blocks(&old, 4096), blocks(&new, 4096));
        let same = new.iter().rev().zip(old.iter().rev());
        let same = same.take_while(|(new, old)| new == old).count();
        assert!(same + 10 > old.len(), "{same} of {}", old.len());
    }
}
