//! TensorBoard's event files: records as TensorFlow's `TFRecordWriter` frames them, each a message `Event`.
//!
//! A record is its length (u64), the masked CRC-32C of that, the message, and its masked CRC-32C; integers are little-endian
//! (tensorflow/core/lib/io/record_writer.h). Messages are those of tensorboard/compat/proto/event.proto and summary.proto, as far as
//! scalars need them.

use std::io::{self, Write};

use prost::Message;

/// What the first record of a file says.
const VERSION: &str = "brain.Event:2";

/// A number at a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// Names the chart; what stands before a `/` groups charts.
    pub(super) tag: String,
    pub(super) step: u32,
    /// Seconds since 1970.
    pub(super) time: f64,
    pub(super) value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// One of several alternatives in the original, so that zero is written too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes a file of these scalars, begun at `time` in seconds since 1970.
pub(super) fn write(out: &mut dyn Write, time: f64, scalars: &[Scalar]) -> io::Result<()> {
    let version = Event { wall_time: time, file_version: Some(VERSION.to_owned()), ..Event::default() };
    write_record(out, &version.encode_to_vec())?;
    scalars.iter().try_for_each(|scalar| write_record(out, &Event::from(scalar).encode_to_vec()))
}

fn write_record(out: &mut dyn Write, message: &[u8]) -> io::Result<()> {
    let length = (message.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked_crc(&length).to_le_bytes())?;
    out.write_all(message)?;
    out.write_all(&masked_crc(message).to_le_bytes())
}

/// Masked, so that a CRC of data that holds CRCs stays a good one.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

impl From<&Scalar> for Event {
    fn from(scalar: &Scalar) -> Event {
        let Scalar { tag, step, time, value } = scalar;
        let value = Value { tag: tag.clone(), simple_value: Some(*value as f32) };
        Event { wall_time: *time, step: i64::from(*step), file_version: None, summary: Some(Summary { value: vec![value] }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorBoard's own writer makes of the same numbers (tensorboard 2.21, Python):
    ///
    /// ```python
    /// import io
    /// from tensorboard.compat.proto import event_pb2, summary_pb2
    /// from tensorboard.summary.writer.record_writer import RecordWriter
    /// out = io.BytesIO()
    /// writer = RecordWriter(out)
    /// value = summary_pb2.Summary.Value(tag="loss/train", simple_value=0.0)
    /// writer.write(event_pb2.Event(wall_time=1.5, file_version="brain.Event:2").SerializeToString())
    /// writer.write(event_pb2.Event(wall_time=2.5, step=3, summary=summary_pb2.Summary(value=[value])).SerializeToString())
    /// print(out.getvalue().hex())
    /// ```
    const FROM_TENSORBOARD: &str = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c200000000000000029eda95009000000000000044010032a130a110a0a6c6f73732f747261696e1500000000c65bf0b2";

    #[test]
    fn a_file_has_the_bytes_of_tensorboard_s_own_writer() {
        let scalar = Scalar { tag: "loss/train".to_owned(), step: 3, time: 2.5, value: 0.0 };
        let mut bytes = Vec::new();
        write(&mut bytes, 1.5, &[scalar]).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, FROM_TENSORBOARD);
    }
}
