//! Layers as they add to a [`Sketch`]. Images are square.

/// A network's tensors, and what a training keeps of every image until its gradients are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sketch {
    tensors: Vec<TensorShape>,
    /// Numbers of the network's precision.
    kept: u64,
    /// Places of maxima, each 8 bytes.
    places: u64,
    /// Numbers of the largest output of a layer.
    largest: u64,
}

/// A tensor of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorShape {
    pub name: String,
    pub shape: Vec<u64>,
    /// Whether it is learnt; else it is a running statistic.
    pub is_trained: bool,
}

/// An image within a network: `[side, side, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub side: u64,
    pub channels: u64,
}

/// A window that slides over an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    side: u64,
    stride: u64,
    border: Border,
}

#[derive(Debug, Clone, Copy)]
enum Border {
    /// Padded so that ceil(side / stride) places remain.
    Same,
    /// So many zeros on every side.
    Zeros(u64),
    /// The last window may reach over the border.
    Ceil,
}

impl Sketch {
    /// The tensors in the order of the layers.
    pub fn tensors(&self) -> &[TensorShape] {
        &self.tensors
    }

    /// Numbers that are learnt.
    pub fn weights(&self) -> u64 {
        self.tensors.iter().filter(|tensor| tensor.is_trained).map(TensorShape::numbers).sum()
    }

    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    pub(super) fn places(&self) -> u64 {
        self.places
    }

    pub(super) fn largest(&self) -> u64 {
        self.largest
    }

    /// A convolution with a bias.
    pub(super) fn conv(&mut self, name: &str, from: Shape, outputs: u64, window: Window) -> Option<Shape> {
        let to = self.conv_without_bias(name, from, outputs, window)?;
        self.trained(format!("{name}.bias"), vec![outputs]);
        Some(to)
    }

    /// A convolution. Of what it makes nothing is kept: that is for what follows to say.
    pub(super) fn conv_without_bias(&mut self, name: &str, from: Shape, outputs: u64, window: Window) -> Option<Shape> {
        let to = Shape { side: window.places(from.side)?, channels: outputs };
        self.trained(format!("{name}.weight"), vec![outputs, from.channels, window.side, window.side]);
        if window.is_lopsided(from.side) {
            self.keep(from, 1);
        }
        self.largest = self.largest.max(to.numbers());
        Some(to)
    }

    pub(super) fn norm(&mut self, name: &str, channels: u64) {
        self.trained(format!("{name}.weight"), vec![channels]);
        self.trained(format!("{name}.bias"), vec![channels]);
        for statistic in ["running_mean", "running_var"] {
            self.tensors.push(TensorShape { name: format!("{name}.{statistic}"), shape: vec![channels], is_trained: false });
        }
    }

    pub(super) fn dense(&mut self, name: &str, inputs: u64, outputs: u64) {
        self.trained(format!("{name}.weight"), vec![outputs, inputs]);
        self.trained(format!("{name}.bias"), vec![outputs]);
    }

    /// A max pooling: where every maximum was is kept.
    pub(super) fn max_pool(&mut self, from: Shape, window: Window) -> Option<Shape> {
        let to = Shape { side: window.places(from.side)?, ..from };
        self.places += to.numbers();
        Some(to)
    }

    /// Keeps so many copies of an image.
    pub(super) fn keep(&mut self, image: Shape, copies: u64) {
        self.kept += copies * image.numbers();
    }

    fn trained(&mut self, name: String, shape: Vec<u64>) {
        self.tensors.push(TensorShape { name, shape, is_trained: true });
    }
}

impl TensorShape {
    /// How many numbers it has.
    pub fn numbers(&self) -> u64 {
        self.shape.iter().product()
    }
}

impl Shape {
    pub(super) fn numbers(self) -> u64 {
        self.side * self.side * self.channels
    }

    pub(super) fn with_channels(self, channels: u64) -> Shape {
        Shape { channels, ..self }
    }
}

impl Window {
    /// With stride 1 and as much padding as leaves the size as it is.
    pub(super) const fn same(side: u64) -> Window {
        Window { side, stride: 1, border: Border::Same }
    }

    pub(super) const fn stride(self, stride: u64) -> Window {
        Window { stride, ..self }
    }

    pub(super) const fn zeros(self, zeros: u64) -> Window {
        Window { border: Border::Zeros(zeros), ..self }
    }

    pub(super) const fn ceil(self) -> Window {
        Window { border: Border::Ceil, ..self }
    }

    /// In how many places it is, along a side; none if it does not fit.
    fn places(self, side: u64) -> Option<u64> {
        match self.border {
            Border::Same => Some(side.div_ceil(self.stride)),
            Border::Zeros(zeros) => Some((side + 2 * zeros).checked_sub(self.side)? / self.stride + 1),
            Border::Ceil => Some((side + self.stride - 1).checked_sub(self.side)? / self.stride + 1),
        }
    }

    /// Whether libtorch pads a copy of the image first, because there is more to add at the end than at the beginning.
    fn is_lopsided(self, side: u64) -> bool {
        matches!(self.border, Border::Same) && ((side.div_ceil(self.stride) - 1) * self.stride + self.side).saturating_sub(side) % 2 == 1
    }
}
