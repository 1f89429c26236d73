//! The networks that can be trained. What each keeps follows from what libtorch's layers need for their gradients.

use crate::stage::sketch::Sketch;
use crate::stage::sketch::layers::{Shape, Window};
use crate::stage::{Activation, Network};

pub(super) fn sketch(network: &Network, size: u32, classes: u64) -> Option<Sketch> {
    let image = Shape { side: size.into(), channels: 3 };
    let mut sketch = Sketch::default();
    sketch.keep(image, 1);
    match *network {
        Network::Alexnet { activation, .. } => alexnet(&mut Units { sketch: &mut sketch, activation }, image, classes)?,
        Network::MiniGooglenet { activation, .. } => mini_googlenet(&mut Units { sketch: &mut sketch, activation }, image, classes)?,
        Network::DeeperGooglenet { activation, modules_4, .. } => {
            let mut units = Units { sketch: &mut sketch, activation };
            let features = deeper_googlenet(&mut units, image, modules_4)?;
            sketch.dense("dense", features, classes);
        }
    }
    Some(sketch)
}

/// A sketch to which convolutions are added together with their normalisation and activation.
struct Units<'a> {
    sketch: &'a mut Sketch,
    activation: Activation,
}

impl Units<'_> {
    fn conv(&mut self, [conv, norm]: [&str; 2], from: Shape, outputs: u64, window: Window) -> Option<Shape> {
        let to = self.sketch.conv(conv, from, outputs, window)?;
        self.sketch.norm(norm, outputs);
        self.sketch.keep(to, self.copies());
        Some(to)
    }

    fn dense(&mut self, [dense, norm]: [&str; 2], inputs: u64, outputs: u64) {
        self.sketch.dense(dense, inputs, outputs);
        self.sketch.norm(norm, outputs);
        self.sketch.keep(Shape { side: 1, channels: outputs }, self.copies());
    }

    /// What is kept of a unit's output on its way: a ReLU needs what it gave, an ELU what it was given, a normalisation what it was
    /// given, and the next layer what it is given.
    fn copies(&self) -> u64 {
        match self.activation {
            Activation::Relu => 2,
            Activation::Elu => 3,
        }
    }

    /// A dropout keeps what it multiplied with; the next layer keeps what it gave.
    fn dropout(&mut self, image: Shape) {
        self.sketch.keep(image, 2);
    }

    /// Images side by side are copied into one.
    fn join(&mut self, parts: &[Shape]) -> Option<Shape> {
        let joined = parts.first()?.with_channels(parts.iter().map(|part| part.channels).sum());
        self.sketch.keep(joined, 1);
        Some(joined)
    }
}

fn alexnet(units: &mut Units<'_>, image: Shape, classes: u64) -> Option<()> {
    const POOL: Window = Window::same(3).stride(2).zeros(0);
    let x = units.conv(["conv1", "norm1"], image, 96, Window::same(11).stride(4))?;
    let x = units.sketch.max_pool(x, POOL)?;
    units.dropout(x);
    let x = units.conv(["conv2", "norm2"], x, 256, Window::same(5))?;
    let x = units.sketch.max_pool(x, POOL)?;
    units.dropout(x);
    let x = units.conv(["conv3", "norm3"], x, 384, Window::same(3))?;
    let x = units.conv(["conv4", "norm4"], x, 384, Window::same(3))?;
    let x = units.conv(["conv5", "norm5"], x, 256, Window::same(3))?;
    let x = units.sketch.max_pool(x, POOL)?;
    units.dropout(x);
    units.dense(["dense6", "norm6"], x.numbers(), 4096);
    units.dropout(Shape { side: 1, channels: 4096 });
    units.dense(["dense7", "norm7"], 4096, 4096);
    units.dropout(Shape { side: 1, channels: 4096 });
    units.sketch.dense("dense8", 4096, classes);
    Some(())
}

fn mini_googlenet(units: &mut Units<'_>, image: Shape, classes: u64) -> Option<()> {
    let x = units.conv(["stem.conv", "stem.norm"], image, 96, Window::same(3))?;
    let x = mini(units, "mini1", x, [32, 32])?;
    let x = mini(units, "mini2", x, [32, 48])?;
    let x = downsample(units, "down1", x, 80)?;
    let x = mini(units, "mini3", x, [112, 48])?;
    let x = mini(units, "mini4", x, [96, 64])?;
    let x = mini(units, "mini5", x, [80, 80])?;
    let x = mini(units, "mini6", x, [48, 96])?;
    let x = downsample(units, "down2", x, 96)?;
    let x = mini(units, "mini7", x, [176, 160])?;
    let x = mini(units, "mini8", x, [176, 160])?;
    units.sketch.dense("dense", x.channels, classes);
    Some(())
}

fn mini(units: &mut Units<'_>, name: &str, from: Shape, [narrow, wide]: [u64; 2]) -> Option<Shape> {
    let mut branch = |side: u64, outputs| {
        let names = [format!("{name}.conv{side}x{side}"), format!("{name}.norm{side}x{side}")];
        units.conv([&names[0], &names[1]], from, outputs, Window::same(side))
    };
    let branches = [branch(1, narrow)?, branch(3, wide)?];
    units.join(&branches)
}

fn downsample(units: &mut Units<'_>, name: &str, from: Shape, outputs: u64) -> Option<Shape> {
    const WINDOW: Window = Window::same(3).stride(2).zeros(0);
    let names = [format!("{name}.conv"), format!("{name}.norm")];
    let branches = [units.conv([&names[0], &names[1]], from, outputs, WINDOW)?, units.sketch.max_pool(from, WINDOW)?];
    units.join(&branches)
}

/// A module's name and the channels of its convolutions: 1×1; 1×1 and 3×3; 1×1 and 5×5; 1×1 after the pooling.
type Module = (&'static str, u64, [u64; 2], [u64; 2], u64);

const THIRD: [Module; 2] = [("3a", 64, [96, 128], [16, 32], 32), ("3b", 128, [128, 192], [32, 96], 64)];
const FOURTH: [Module; 5] = [
    ("4a", 192, [96, 208], [16, 48], 64),
    ("4b", 160, [112, 224], [24, 64], 64),
    ("4c", 128, [128, 256], [24, 64], 64),
    ("4d", 112, [144, 288], [32, 64], 64),
    ("4e", 256, [160, 320], [32, 128], 128),
];

/// The length of the features.
fn deeper_googlenet(units: &mut Units<'_>, image: Shape, modules_4: bool) -> Option<u64> {
    const POOL: Window = Window::same(3).stride(2);
    if image.side == 0 {
        return None;
    }
    let x = units.conv(["conv1.conv", "conv1.norm"], image, 64, Window::same(5))?;
    let x = units.sketch.max_pool(x, POOL)?;
    units.sketch.keep(x, 1);
    let x = units.conv(["conv2.conv", "conv2.norm"], x, 64, Window::same(1))?;
    let x = units.conv(["conv3.conv", "conv3.norm"], x, 192, Window::same(3))?;
    let x = units.sketch.max_pool(x, POOL)?;
    units.sketch.keep(x, 1);
    let x = THIRD.iter().try_fold(x, |x, module| inception(units, x, *module))?;
    let x = units.sketch.max_pool(x, POOL)?;
    units.sketch.keep(x, 1);
    let x = FOURTH.iter().filter(|_| modules_4).try_fold(x, |x, module| inception(units, x, *module))?;
    let x = units.sketch.max_pool(x, POOL)?;
    Some(x.channels)
}

fn inception(units: &mut Units<'_>, from: Shape, (module, one, three, five, pool): Module) -> Option<Shape> {
    let mut unit = |part: &str, from, outputs, side| {
        let names = ["conv", "norm"].map(|layer| format!("inception{module}.{part}.{layer}"));
        units.conv([&names[0], &names[1]], from, outputs, Window::same(side))
    };
    let one = unit("1x1", from, one, 1)?;
    let reduced = unit("3x3reduce", from, three[0], 1)?;
    let three = unit("3x3", reduced, three[1], 3)?;
    let reduced = unit("5x5reduce", from, five[0], 1)?;
    let five = unit("5x5", reduced, five[1], 5)?;
    let pool = unit("pool", from, pool, 1)?;
    let pooled = units.sketch.max_pool(from, Window::same(3))?;
    units.sketch.keep(pooled, 1);
    units.join(&[one, three, five, pool])
}
