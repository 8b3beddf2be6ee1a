//! The memory of one call: all memories and tables of its guest together.

use wasmtime::{Error, ResourceLimiter};

/// The most elements of all tables.
const TABLE_ELEMENTS: usize = 1_000_000;
/// The most core instances, tables and memories: guests from JavaScript and Python are made of dozens.
const INSTANCES: usize = 200;
const TABLES: usize = 200;
const MEMORIES: usize = 50;

/// How much is left.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: usize,
    memory: usize,
    elements: usize,
}

/// A guest wanted more than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more memory than it may have")]
pub(crate) struct TooMuchMemory;

impl Quota {
    pub(crate) fn new(mib: u32) -> Self {
        let limit = usize::try_from(mib).unwrap_or(usize::MAX).saturating_mul(1024 * 1024);
        Self { limit, memory: 0, elements: 0 }
    }
}

/// A refusal is a trap: a guest that went on without its memory would fail somewhere else, and nobody knew why.
impl ResourceLimiter for Quota {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool, Error> {
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        if memory > self.limit {
            return Err(TooMuchMemory.into());
        }
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool, Error> {
        let elements = self.elements.saturating_add(desired.saturating_sub(current));
        if elements > TABLE_ELEMENTS {
            return Err(TooMuchMemory.into());
        }
        self.elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
