//! A stream in blocks that are compressed on their own, several at once, and go out in order.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, TryRecvError, sync_channel},
    },
};

use super::{
    Workers,
    cutter::{Cutter, Lengths},
};

/// A way to compress a block.
pub(super) trait Codec: Send + Sync + 'static {
    /// What compresses, and is used again for another block.
    type Tool: Send;
    /// A compressed block.
    type Packed: Send;
    /// What is known of all that went out.
    type Sum: Default;

    /// How long blocks are.
    fn lengths(&self) -> Lengths;

    /// How much of what stands before a block helps to compress it.
    fn memory(&self) -> usize {
        0
    }

    fn tool(&self) -> io::Result<Self::Tool>;

    fn pack(&self, tool: &mut Self::Tool, block: &Block) -> io::Result<Self::Packed>;

    /// Puts a compressed block out. They come in order.
    fn put(sum: &mut Self::Sum, packed: &Self::Packed, output: &mut dyn Write) -> io::Result<()>;
}

/// A part of the stream.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The end of what stands before it.
    pub(super) before: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

/// Compresses block by block.
pub(super) struct Blocks<W, C: Codec> {
    output: W,
    sum: C::Sum,
    packing: Arc<Packing<C>>,
    workers: Workers,
    cutter: Cutter,
    /// The block under way.
    block: Block,
    has_begun: bool,
    /// The blocks that are being compressed, oldest first.
    ahead: VecDeque<Receiver<io::Result<C::Packed>>>,
    /// How many there may be.
    window: usize,
}

/// What the threads share.
struct Packing<C: Codec> {
    codec: C,
    /// The tools that nobody uses.
    tools: Mutex<Vec<C::Tool>>,
}

impl<C: Codec> Packing<C> {
    fn pack(&self, block: &Block) -> io::Result<C::Packed> {
        let tools = || self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = tools().pop();
        let mut tool = idle.map_or_else(|| self.codec.tool(), Ok)?;
        let packed = self.codec.pack(&mut tool, block)?;
        tools().push(tool);
        Ok(packed)
    }
}

impl<W: Write, C: Codec> Blocks<W, C> {
    /// Compresses into `output`, with at most `window_bytes` of the stream in memory.
    pub(super) fn new(codec: C, workers: &Workers, window_bytes: usize, output: W) -> Self {
        let lengths = codec.lengths();
        let fitting = (window_bytes / lengths.most).max(1);
        Self {
            output,
            sum: C::Sum::default(),
            packing: Arc::new(Packing {
                codec,
                tools: Mutex::default(),
            }),
            workers: workers.clone(),
            cutter: Cutter::new(lengths),
            block: Block::default(),
            has_begun: false,
            ahead: VecDeque::new(),
            // One more than there are threads for: none waits while the next block is gathered.
            window: fitting.min(workers.count() + 1),
        }
    }

    /// Compresses the rest, one block at least. Returns where it all went.
    pub(super) fn finish(mut self) -> io::Result<(W, C::Sum)> {
        if !self.block.bytes.is_empty() || !self.has_begun {
            self.hand_over()?;
        }
        while let Some(packed) = self.ahead.pop_front() {
            self.put(packed.recv().ok())?;
        }
        Ok((self.output, self.sum))
    }

    /// Gives the block under way to a thread.
    fn hand_over(&mut self) -> io::Result<()> {
        self.make_room()?;
        self.has_begun = true;
        let next = Block {
            before: self.block.end(self.packing.codec.memory()),
            bytes: Vec::new(),
        };
        let block = std::mem::replace(&mut self.block, next);
        let (sender, receiver) = sync_channel(1);
        let packing = Arc::clone(&self.packing);
        self.workers.run(Box::new(move || {
            // Nobody waits for it when the stream was given up.
            drop(sender.send(packing.pack(&block)));
        }));
        self.ahead.push_back(receiver);
        Ok(())
    }

    /// Puts out what is ready, and waits when too much is not.
    fn make_room(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.ahead.front() {
            let packed = if self.ahead.len() >= self.window {
                oldest.recv().ok()
            } else {
                match oldest.try_recv() {
                    Ok(packed) => Some(packed),
                    Err(TryRecvError::Empty) => return Ok(()),
                    Err(TryRecvError::Disconnected) => None,
                }
            };
            self.ahead.pop_front();
            self.put(packed)?;
        }
        Ok(())
    }

    fn put(&mut self, packed: Option<io::Result<C::Packed>>) -> io::Result<()> {
        self.workers.check()?;
        let packed = packed.unwrap_or_else(|| Err(io::Error::other("Compression interrupted")));
        C::put(&mut self.sum, &packed?, &mut self.output)
    }
}

impl Block {
    /// The last `count` bytes up to its end.
    fn end(&self, count: usize) -> Vec<u8> {
        let from_before = count.saturating_sub(self.bytes.len());
        let tail = |bytes: &[u8], count: usize| {
            let from = bytes.len().saturating_sub(count);
            bytes.get(from..).unwrap_or_default().to_vec()
        };
        let mut end = tail(&self.before, from_before);
        end.extend(tail(&self.bytes, count));
        end
    }
}

impl<W: Write, C: Codec> Write for Blocks<W, C> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (length, ends) = self.cutter.cut(buffer);
        let part = buffer.get(..length).unwrap_or_default();
        self.block.bytes.extend_from_slice(part);
        if ends {
            self.hand_over()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
