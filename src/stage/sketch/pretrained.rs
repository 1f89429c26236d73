//! The networks whose weights are made elsewhere, without their heads, with torchvision's names. They are not trained: nothing of
//! an image is kept.

use crate::stage::PretrainedNetwork;
use crate::stage::sketch::Sketch;
use crate::stage::sketch::layers::{Shape, Window};

pub(super) fn sketch(network: PretrainedNetwork, size: u32) -> Option<Sketch> {
    let image = Shape { side: size.into(), channels: 3 };
    let mut sketch = Sketch::default();
    match network {
        PretrainedNetwork::Resnet18 => resnet(&mut sketch, image, basic, [2, 2, 2, 2])?,
        PretrainedNetwork::Resnet34 => resnet(&mut sketch, image, basic, [3, 4, 6, 3])?,
        PretrainedNetwork::Resnet50 => resnet(&mut sketch, image, bottleneck, [3, 4, 6, 3])?,
        PretrainedNetwork::Resnet101 => resnet(&mut sketch, image, bottleneck, [3, 4, 23, 3])?,
        PretrainedNetwork::Squeezenet1_0 => squeezenet(&mut sketch, image)?,
    }
    Some(sketch)
}

/// The convolutions of a block, from its inner channels and its stride: channels and window of each.
type Block = fn(u64, u64) -> Vec<(u64, Window)>;

fn basic(width: u64, stride: u64) -> Vec<(u64, Window)> {
    vec![(width, Window::same(3).stride(stride).zeros(1)), (width, Window::same(3))]
}

fn bottleneck(width: u64, stride: u64) -> Vec<(u64, Window)> {
    vec![(width, Window::same(1)), (width, Window::same(3).stride(stride).zeros(1)), (4 * width, Window::same(1))]
}

fn resnet(sketch: &mut Sketch, image: Shape, block: Block, counts: [u64; 4]) -> Option<()> {
    let x = conv_norm(sketch, ["conv1", "bn1"], image, 64, Window::same(7).stride(2).zeros(3))?;
    let mut x = sketch.max_pool(x, Window::same(3).stride(2).zeros(1))?;
    for (layer, ((width, stride), count)) in [(64, 1), (128, 2), (256, 2), (512, 2)].into_iter().zip(counts).enumerate() {
        for number in 0..count {
            let stride = if number == 0 { stride } else { 1 };
            x = residual(sketch, &format!("layer{}.{number}", layer + 1), x, &block(width, stride), stride)?;
        }
    }
    Some(())
}

fn residual(sketch: &mut Sketch, name: &str, from: Shape, row: &[(u64, Window)], stride: u64) -> Option<Shape> {
    let mut x = from;
    for (&(outputs, window), number) in row.iter().zip(1..) {
        let names = [format!("{name}.conv{number}"), format!("{name}.bn{number}")];
        x = conv_norm(sketch, [&names[0], &names[1]], x, outputs, window)?;
    }
    if from.channels != x.channels || stride != 1 {
        let names = [format!("{name}.downsample.0"), format!("{name}.downsample.1")];
        conv_norm(sketch, [&names[0], &names[1]], from, x.channels, Window::same(1).stride(stride).zeros(0))?;
    }
    Some(x)
}

fn conv_norm(sketch: &mut Sketch, [conv, norm]: [&str; 2], from: Shape, outputs: u64, window: Window) -> Option<Shape> {
    let to = sketch.conv_without_bias(conv, from, outputs, window)?;
    sketch.norm(norm, outputs);
    Some(to)
}

fn squeezenet(sketch: &mut Sketch, image: Shape) -> Option<()> {
    const POOL: Window = Window::same(3).stride(2).ceil();
    let fire = |sketch: &mut Sketch, place: u32, from: Shape, squeezed: u64, expanded: u64| {
        let mut part = |name, from, outputs, side| sketch.conv(&format!("features.{place}.{name}"), from, outputs, Window::same(side));
        let x = part("squeeze", from, squeezed, 1)?;
        part("expand1x1", x, expanded, 1)?;
        Some(part("expand3x3", x, expanded, 3)?.with_channels(2 * expanded))
    };
    let x = sketch.conv("features.0", image, 96, Window::same(7).stride(2).zeros(0))?;
    let x = sketch.max_pool(x, POOL)?;
    let x = fire(sketch, 3, x, 16, 64)?;
    let x = fire(sketch, 4, x, 16, 64)?;
    let x = fire(sketch, 5, x, 32, 128)?;
    let x = sketch.max_pool(x, POOL)?;
    let x = fire(sketch, 7, x, 32, 128)?;
    let x = fire(sketch, 8, x, 48, 192)?;
    let x = fire(sketch, 9, x, 48, 192)?;
    let x = fire(sketch, 10, x, 64, 256)?;
    let x = sketch.max_pool(x, POOL)?;
    fire(sketch, 12, x, 64, 256).map(drop)
}
