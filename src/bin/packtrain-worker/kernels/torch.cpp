// What libtorch lacks on the CPU: layers whose gradients are computed in fewer passes over memory, steps of optimizers in one pass,
// and the convolutions of oneDNN with what follows them. And what it has, but `tch` does not reach: fused steps of optimizers. Called
// from `mod.rs`, which says what each does.
//
// Images are `[N,C,H,W]` lying in memory as `[N,H,W,C]`. Sums are made of the same pieces whatever the number of threads.

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstring>
#include <exception>
#include <vector>

#include "loops.h"

namespace packtrain {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Pieces that a sum over rows is made of.
constexpr int64_t PIECES = 64;
// Numbers that are worth a thread.
constexpr int64_t WORTH = 1 << 15;

template <class T> T* numbers(const Tensor& tensor) { return static_cast<T*>(tensor.data_ptr()); }

template <class Work> void by_kind(at::ScalarType kind, const Work& work) {
    switch (kind) {
    case at::kFloat: return work(float());
    case at::kBFloat16: return work(Bf16());
    case at::kDouble: return work(double());
    default: TORCH_CHECK(false, "no loops for ", kind);
    }
}

// `[N,C,H,W]` whose numbers lie as rows of channels, whatever lies between the rows; or `[N,C]`.
bool lies_in_rows(const Tensor& x) {
    if (x.dim() == 2) return x.stride(1) == 1;
    int64_t row = x.stride(3);
    return x.stride(1) == 1 && x.stride(2) == row * x.size(3) && x.stride(0) == row * x.size(3) * x.size(2);
}

Tensor in_rows(const Tensor& x) {
    if (lies_in_rows(x)) return x;
    return x.dim() == 2 ? x.contiguous() : x.contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor like(const Tensor& x, int64_t channels) {
    auto size = x.sizes().vec();
    size[1] = channels;
    return at::empty(size, x.options(), x.dim() == 2 ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast);
}

int64_t row_count(const Tensor& x) { return x.numel() / x.size(1); }

template <class T> Rows<T> rows_of(const Tensor& x) {
    return {numbers<std::remove_const_t<T>>(x), x.dim() == 2 ? x.stride(0) : x.stride(3)};
}

template <class T> Rows<T> at_row(Rows<T> rows, int64_t row) { return {rows.start + row * rows.stride, rows.stride}; }

// Calls work(piece, first row, rows) for every piece.
template <class Work> void for_pieces(int64_t rows, int64_t channels, const Work& work) {
    int64_t pieces = std::min(PIECES, std::max<int64_t>(1, rows * channels / WORTH));
    int64_t size = (rows + pieces - 1) / pieces;
    at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
            int64_t from = std::min(rows, piece * size), to = std::min(rows, from + size);
            if (from < to) work(piece, from, to - from);
        }
    });
}

// The sums of all pieces, `[2, channels]`.
template <class W> std::vector<double> total(const std::vector<W>& sums, int64_t channels) {
    std::vector<double> total(2 * channels);
    for (size_t at = 0; at < sums.size(); ++at) total[at % total.size()] += double(sums[at]);
    return total;
}

// How a normalisation is made.
struct Norm {
    Order order;
    double momentum, eps;
};

// A branch: what a convolution gave, and its normalisation. Without one, it is only copied.
struct Part {
    Tensor x, scale, shift, bias, mean, variance;
    bool is_normed() const { return scale.defined(); }
};

// The batch's mean and 1 / deviation of every channel, `[2, C]`; the running statistics are updated.
template <class T> Tensor statistics(const Part& part, const Norm& norm) {
    using W = WideOf<T>;
    const Tensor& x = part.x;
    int64_t rows = row_count(x), channels = x.size(1);
    auto from = rows_of<const T>(x);
    // Distances from one of the numbers: a mean far from zero costs no digits.
    std::vector<W> pivot(channels), zero(channels), none(2 * channels);
    loops<T>().sums(from, 1, channels, zero.data(), none.data(), norm.order);
    std::copy_n(none.begin(), channels, pivot.begin());
    std::vector<W> sums(PIECES * 2 * channels);
    for_pieces(rows, channels, [&](int64_t piece, int64_t first, int64_t count) {
        loops<T>().sums(at_row(from, first), count, channels, pivot.data(), sums.data() + piece * 2 * channels, norm.order);
    });
    auto sum = total(sums, channels);
    Tensor result = at::empty({2, channels}, part.scale.options());
    W *mean = numbers<W>(result), *running_mean = numbers<W>(part.mean), *running_variance = numbers<W>(part.variance);
    const W* bias = part.bias.defined() ? numbers<W>(part.bias) : nullptr;
    for (int64_t c = 0; c < channels; ++c) {
        double distance = sum[c] / rows, variance = std::max(0.0, sum[channels + c] / rows - distance * distance);
        double centre = pivot[c] + distance, unbiased = variance * rows / std::max<int64_t>(1, rows - 1);
        mean[c] = W(centre);
        mean[channels + c] = W(1 / std::sqrt(variance + norm.eps));
        running_mean[c] += W(norm.momentum * (centre + (bias ? bias[c] : 0) - running_mean[c]));
        running_variance[c] += W(norm.momentum * (unbiased - running_variance[c]));
    }
    return result;
}

// factor, offset, mean, slope, curve, constant: the last three are for the gradient.
template <class W> std::vector<W> coefficients(const Tensor& statistics, const Tensor& scale, const Tensor& shift) {
    int64_t channels = scale.numel();
    std::vector<W> all(6 * channels);
    const W *mean = numbers<W>(statistics), *inverse = mean + channels;
    for (int64_t c = 0; c < channels; ++c) {
        W factor = numbers<W>(scale)[c] * inverse[c];
        all[c] = factor;
        all[channels + c] = numbers<W>(shift)[c] - mean[c] * factor;
        all[2 * channels + c] = mean[c];
    }
    return all;
}

template <class T> void copy_rows(Rows<const T> from, Rows<T> to, int64_t rows, int64_t channels) {
    for_pieces(rows, channels, [&](int64_t, int64_t first, int64_t count) {
        for (int64_t row = first; row < first + count; ++row)
            std::memcpy(to.start + row * to.stride, from.start + row * from.stride, channels * sizeof(T));
    });
}

// Normalised branches side by side.
struct JoinNormed : torch::autograd::Function<JoinNormed> {
    static Tensor forward(AutogradContext* context, at::TensorList, const std::vector<Part>* parts, const Norm* norm) {
        int64_t channels = 0;
        for (const Part& part : *parts) channels += part.x.size(1);
        Tensor joined = like(parts->front().x, channels);
        variable_list saved;
        int64_t place = 0;
        for (const Part& given : *parts) {
            Part part = given;
            part.x = in_rows(given.x);
            by_kind(part.x.scalar_type(), [&](auto kind) { saved.push_back(write<decltype(kind)>(part, *norm, joined, place)); });
            saved.insert(saved.end(), {part.is_normed() ? part.x : Tensor(), part.scale, part.shift});
            place += part.x.size(1);
        }
        context->save_for_backward(saved);
        context->saved_data["order"] = int64_t(norm->order);
        auto wanted = std::vector<int64_t>();
        for (const Part& part : *parts) wanted.insert(wanted.end(), {part.x.size(1), part.bias.defined()});
        context->saved_data["parts"] = wanted;
        return joined;
    }

    template <class T> static Tensor write(const Part& part, const Norm& norm, const Tensor& joined, int64_t place) {
        int64_t rows = row_count(joined), channels = part.x.size(1);
        auto from = rows_of<const T>(part.x);
        auto to = rows_of<T>(joined);
        to.start += place;
        if (!part.is_normed()) {
            copy_rows(from, to, rows, channels);
            return Tensor();
        }
        Tensor found = statistics<T>(part, norm);
        auto numbers = coefficients<WideOf<T>>(found, part.scale, part.shift);
        for_pieces(rows, channels, [&](int64_t, int64_t first, int64_t count) {
            loops<T>().apply(at_row(from, first), at_row(to, first), count, channels, numbers.data(), numbers.data() + channels, norm.order);
        });
        return found;
    }

    static variable_list backward(AutogradContext* context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        auto parts = context->saved_data["parts"].toIntVector();
        Order order = Order(context->saved_data["order"].toInt());
        Tensor gradient = in_rows(gradients[0]);
        variable_list results;
        int64_t place = 0;
        for (size_t part = 0; part * 2 < parts.size(); ++part) {
            int64_t channels = parts[2 * part];
            const Tensor *found = &saved[4 * part];
            variable_list given;
            by_kind(gradient.scalar_type(), [&](auto kind) {
                given = found->defined() ? normed<decltype(kind)>(found, gradient, place, order)
                                         : copied<decltype(kind)>(gradient, place, channels);
            });
            // A bias before a normalisation changes nothing that is learnt from.
            if (parts[2 * part + 1]) given.push_back(at::zeros_like(saved[4 * part + 2]));
            results.insert(results.end(), given.begin(), given.end());
            place += channels;
        }
        results.resize(results.size() + 2);
        return results;
    }

    template <class T> static variable_list copied(const Tensor& gradient, int64_t place, int64_t channels) {
        Tensor result = like(gradient, channels);
        auto from = rows_of<const T>(gradient);
        from.start += place;
        copy_rows(from, rows_of<T>(result), row_count(gradient), channels);
        return {result};
    }

    // The gradients of x, scale and shift. `saved`: statistics, x, scale, shift.
    template <class T> static variable_list normed(const Tensor* saved, const Tensor& gradient, int64_t place, Order order) {
        using W = WideOf<T>;
        const Tensor &x = saved[1], &scale = saved[2];
        int64_t rows = row_count(x), channels = x.size(1);
        auto from = rows_of<const T>(x), slopes = rows_of<const T>(gradient);
        slopes.start += place;
        auto all = coefficients<W>(saved[0], scale, saved[3]);
        std::vector<W> sums(PIECES * 2 * channels);
        for_pieces(rows, channels, [&](int64_t piece, int64_t first, int64_t count) {
            W* here = sums.data() + piece * 2 * channels;
            loops<T>().gradient_sums(at_row(from, first), at_row(slopes, first), count, channels, all.data(), here, order);
        });
        auto sum = total(sums, channels);
        Tensor scales = at::empty_like(scale), shifts = at::empty_like(scale), result = like(x, channels);
        const W* inverse = numbers<W>(saved[0]) + channels;
        for (int64_t c = 0; c < channels; ++c) {
            double factor = all[c], deviation = inverse[c], curve = -factor * deviation * deviation * sum[channels + c] / rows;
            all[3 * channels + c] = all[c];
            all[4 * channels + c] = W(curve);
            all[5 * channels + c] = W(-factor * sum[c] / rows - curve * all[2 * channels + c]);
            numbers<W>(scales)[c] = W(sum[channels + c] * deviation);
            numbers<W>(shifts)[c] = W(sum[c]);
        }
        auto to = rows_of<T>(result);
        for_pieces(rows, channels, [&](int64_t, int64_t first, int64_t count) {
            loops<T>().gradient(at_row(from, first), at_row(slopes, first), at_row(to, first), count, channels, all.data(), order);
        });
        return {result, scales, shifts};
    }
};

int64_t places(int64_t length, const Pool& pool, bool ceil) {
    int64_t room = length + 2 * pool.padding - pool.side;
    if (ceil) room += pool.stride - 1;
    TORCH_CHECK(room >= 0, "images of ", length, " pixels are too small for windows of ", pool.side);
    int64_t count = room / pool.stride + 1;
    // The last window begins within the image or the padding before it.
    return (count - 1) * pool.stride >= length + pool.padding ? count - 1 : count;
}

struct MaxPool : torch::autograd::Function<MaxPool> {
    static Tensor forward(AutogradContext* context, const Tensor& given, Pool pool, bool ceil) {
        Tensor x = given.contiguous(at::MemoryFormat::ChannelsLast);
        pool.height = x.size(2), pool.width = x.size(3), pool.channels = x.size(1);
        pool.out_height = places(pool.height, pool, ceil), pool.out_width = places(pool.width, pool, ceil);
        int64_t images = x.size(0), row = pool.out_width * pool.channels;
        Tensor y = at::empty({images, pool.channels, pool.out_height, pool.out_width}, x.options(), at::MemoryFormat::ChannelsLast);
        Tensor where = at::empty({images, pool.out_height, row}, x.options().dtype(at::kByte));
        by_kind(x.scalar_type(), [&](auto kind) {
            using T = decltype(kind);
            int64_t image = pool.height * pool.width * pool.channels;
            at::parallel_for(0, images * pool.out_height, std::max<int64_t>(1, WORTH / (row * pool.side)), [&](int64_t begin, int64_t end) {
                std::vector<WideOf<T>> room(2 * pool.channels);
                for (int64_t at = begin; at < end; ++at) {
                    const T* from = numbers<T>(x) + at / pool.out_height * image;
                    uint8_t* to = numbers<uint8_t>(where) + at * row;
                    loops<T>().pool_row(pool, from, at % pool.out_height, numbers<T>(y) + at * row, to, room.data());
                }
            });
        });
        context->save_for_backward({where});
        context->saved_data["pool"] = std::vector<int64_t>{
            pool.height, pool.width, pool.out_height, pool.out_width, pool.channels, pool.side, pool.stride, pool.padding};
        return y;
    }

    static variable_list backward(AutogradContext* context, variable_list gradients) {
        auto shape = context->saved_data["pool"].toIntVector();
        Pool pool{shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7]};
        Tensor where = context->get_saved_variables()[0];
        Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
        int64_t images = gradient.size(0), row = pool.width * pool.channels;
        Tensor dx = at::empty({images, pool.channels, pool.height, pool.width}, gradient.options(), at::MemoryFormat::ChannelsLast);
        by_kind(dx.scalar_type(), [&](auto kind) {
            using T = decltype(kind);
            int64_t image = pool.out_height * pool.out_width * pool.channels;
            at::parallel_for(0, images * pool.height, std::max<int64_t>(1, WORTH / (row * pool.side)), [&](int64_t begin, int64_t end) {
                std::vector<WideOf<T>> room(pool.channels);
                for (int64_t at = begin; at < end; ++at) {
                    int64_t from = at / pool.height * image;
                    T* to = numbers<T>(dx) + at * row;
                    loops<T>().pool_gradient_row(pool, numbers<T>(gradient) + from, numbers<uint8_t>(where) + from, at % pool.height, to, room.data());
                }
            });
        });
        return {dx, Tensor(), Tensor()};
    }
};

// Weights, their gradient and what is remembered, lying alike.
struct Stepped {
    Tensor weights, gradient, first, second;
};

bool lie_alike(const Tensor& a, const Tensor& b) {
    for (int64_t side = 0; side < a.dim(); ++side) {
        if (a.size(side) > 1 && a.stride(side) != b.stride(side)) return false;
    }
    return a.sizes() == b.sizes();
}

Tensor lying_as(const Tensor& weights, const Tensor& gradient) {
    if (lie_alike(gradient, weights)) return gradient.as_strided(weights.sizes(), weights.strides());
    return at::empty_strided(weights.sizes(), weights.strides(), gradient.options()).copy_(gradient);
}

template <class Work> double step_by_pieces(const Stepped& stepped, const Work& work) {
    int64_t count = stepped.weights.numel(), pieces = (count + WORTH - 1) / WORTH;
    TORCH_CHECK(lie_alike(stepped.weights, stepped.first), "an optimizer remembers numbers that lie otherwise");
    Tensor gradient = lying_as(stepped.weights, stepped.gradient);
    std::vector<double> sums(pieces);
    at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
            int64_t from = piece * WORTH;
            sums[piece] = work(numbers<float>(stepped.weights) + from, numbers<float>(gradient) + from, from, std::min(WORTH, count - from));
        }
    });
    double sum = 0;
    for (double of_piece : sums) sum += of_piece;
    return sum;
}

// The lists of many tensors that a fused step is made on: weights, gradients and what is remembered.
struct Lists {
    std::vector<Tensor> weights, gradients, first, second;

    Lists(const Tensor* const* const* given, size_t count, bool has_second) {
        for (size_t at = 0; at < count; ++at) {
            weights.push_back(given[0][at]->detach());
            gradients.push_back(lying_as(weights[at], *given[1][at]));
            first.push_back(*given[2][at]);
            if (has_second) second.push_back(*given[3][at]);
        }
    }
};

// Convolutions with what follows them, as oneDNN has them. The operators are known by name alone.
using Scalars = c10::List<std::optional<at::Scalar>>;
using Text = std::optional<c10::string_view>;
using Ints = at::IntArrayRef;
using Bias = const std::optional<Tensor>&;

template <class Function> auto operation(const char* name, const char* overload) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Function>();
}

bool convolves(bool bf16) {
    auto& all = c10::Dispatcher::singleton();
    auto has_bf16 = all.findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
    return all.findSchema({"mkldnn::_convolution_pointwise", ""}) && (!bf16 || (has_bf16 && has_bf16->typed<bool()>().call()));
}

Tensor convolved(const Tensor& x, const Tensor& kernel, Bias bias, Ints padding, Ints stride, bool relu) {
    using Function = Tensor(const Tensor&, const Tensor&, Bias, Ints, Ints, Ints, int64_t, c10::string_view, Scalars, Text);
    static auto convolve = operation<Function>("mkldnn::_convolution_pointwise", "");
    return convolve.call(x, kernel, bias, padding, stride, {1, 1}, 1, relu ? "relu" : "none", Scalars(), Text(""));
}

// relu(convolution + onto), written over `onto`.
Tensor convolved_onto(Tensor& onto, const Tensor& x, const Tensor& kernel, Bias bias, Ints padding, Ints stride) {
    using Function = Tensor&(Tensor&, const Tensor&, const Tensor&, Bias, Ints, Ints, Ints, int64_t, c10::string_view, std::optional<at::Scalar>, Text, Scalars, Text);
    static auto convolve = operation<Function>("mkldnn::_convolution_pointwise_", "binary");
    return convolve.call(onto, x, kernel, bias, padding, stride, {1, 1}, 1, "add", at::Scalar(1.0), Text("relu"), Scalars(), Text(""));
}

// The message of what went wrong, to be freed, or null.
template <class Work> char* guarded(const Work& work) {
    try {
        work();
        return nullptr;
    } catch (const std::exception& error) {
        return strdup(error.what());
    }
}

Tensor optional(const Tensor* tensor) { return tensor ? *tensor : Tensor(); }

}  // namespace
}  // namespace packtrain

using namespace packtrain;

extern "C" {

// A branch as `mod.rs` has it.
struct PacktrainBranch {
    const Tensor *x, *scale, *shift, *bias, *mean, *variance;
};

char* packtrain_join_normed(const PacktrainBranch* branches, size_t count, int order, double momentum, double eps, Tensor** joined) {
    return guarded([&] {
        std::vector<Part> parts;
        variable_list inputs;
        for (size_t at = 0; at < count; ++at) {
            const PacktrainBranch& branch = branches[at];
            parts.push_back({*branch.x, optional(branch.scale), optional(branch.shift), optional(branch.bias), optional(branch.mean), optional(branch.variance)});
            const Part& part = parts.back();
            for (const Tensor& input : {part.x, part.scale, part.shift, part.bias}) {
                if (input.defined()) inputs.push_back(input);
            }
        }
        Norm norm{Order(order), momentum, eps};
        *joined = new Tensor(JoinNormed::apply(at::TensorList(inputs), &parts, &norm));
    });
}

struct PacktrainMaxPool {
    int64_t side, stride, padding;
    bool ceil;
};

char* packtrain_max_pool(const Tensor* x, const PacktrainMaxPool* asked, Tensor** pooled) {
    return guarded([&] {
        Pool pool{};
        pool.side = asked->side, pool.stride = asked->stride, pool.padding = asked->padding;
        *pooled = new Tensor(MaxPool::apply(*x, pool, asked->ceil));
    });
}

bool packtrain_convolves(bool bf16) { return convolves(bf16); }

struct PacktrainWindow {
    int64_t padding, stride;
};

char* packtrain_pack_kernel(const Tensor* kernel, const PacktrainWindow* window, const Tensor* x, Tensor** packed) {
    return guarded([&] {
        using Function = Tensor(const Tensor&, Ints, Ints, Ints, int64_t, at::OptionalIntArrayRef);
        static auto pack = operation<Function>("mkldnn::_reorder_convolution_weight", "");
        int64_t padding[] = {window->padding, window->padding}, stride[] = {window->stride, window->stride};
        *packed = new Tensor(pack.call(*kernel, padding, stride, {1, 1}, 1, x->sizes()));
    });
}

char* packtrain_convolve(const Tensor* x, const Tensor* kernel, const Tensor* bias, const PacktrainWindow* window, bool relu, const Tensor* onto, Tensor** y) {
    return guarded([&] {
        int64_t padding[] = {window->padding, window->padding}, stride[] = {window->stride, window->stride};
        if (onto) {
            Tensor over = *onto;
            *y = new Tensor(convolved_onto(over, *x, *kernel, *bias, padding, stride));
        } else {
            *y = new Tensor(convolved(*x, *kernel, *bias, padding, stride, relu));
        }
    });
}

char* packtrain_sgd(const Sgd* rule, const Tensor* weights, const Tensor* gradient, const Tensor* velocity, double* squares) {
    return guarded([&] {
        *squares = step_by_pieces({*weights, *gradient, *velocity, {}}, [&](float* w, const float* g, int64_t from, int64_t count) {
            return step_loops().sgd(*rule, w, g, numbers<float>(*velocity) + from, count);
        });
    });
}

char* packtrain_adam(
    const Adam* rule, const Tensor* weights, const Tensor* gradient, const Tensor* mean, const Tensor* square, double* squares
) {
    return guarded([&] {
        *squares = step_by_pieces({*weights, *gradient, *mean, *square}, [&](float* w, const float* g, int64_t from, int64_t count) {
            return step_loops().adam(*rule, w, g, numbers<float>(*mean) + from, numbers<float>(*square) + from, count);
        });
    });
}

struct PacktrainFusedSgd {
    double learning_rate, momentum, penalty;
    bool nesterov;
};

// `lists`: weights, gradients, velocities.
char* packtrain_fused_sgd(const PacktrainFusedSgd* rule, const Tensor* const* const* lists, size_t count) {
    return guarded([&] {
        Lists of(lists, count, false);
        // libtorch takes no list where nothing is remembered.
        if (rule->momentum == 0) of.first.clear();
        at::_fused_sgd_(of.weights, of.gradients, of.first, rule->penalty, rule->momentum, rule->learning_rate, 0.0, rule->nesterov, false, false);
    });
}

struct PacktrainFusedAdam {
    double learning_rate, beta1, beta2, eps, penalty, decay;
    uint64_t steps;
};

// `lists`: weights, gradients, means, squares.
char* packtrain_fused_adam(const PacktrainFusedAdam* rule, const Tensor* const* const* lists, size_t count) {
    return guarded([&] {
        Lists of(lists, count, true);
        auto options = of.weights.front().options();
        std::vector<Tensor> steps(count, at::full({}, double(rule->steps), options));
        auto step = [&](const auto& fused, double decay) {
            fused(of.weights, of.gradients, of.first, of.second, {}, steps, rule->learning_rate, rule->beta1, rule->beta2, decay, rule->eps, false, false);
        };
        using List = at::TensorList;
        if (rule->decay == 0) {
            step([](List a, List b, List c, List d, List e, List f, auto... rest) { at::_fused_adam_(a, b, c, d, e, f, rest...); }, rule->penalty);
            return;
        }
        if (rule->penalty != 0) of.gradients = at::_foreach_add(of.gradients, of.weights, rule->penalty);
        step([](List a, List b, List c, List d, List e, List f, auto... rest) { at::_fused_adamw_(a, b, c, d, e, f, rest...); }, rule->decay);
    });
}

char* packtrain_squared_norm(const Tensor* const* tensors, size_t count, Tensor** sum) {
    return guarded([&] {
        std::vector<Tensor> all;
        for (size_t at = 0; at < count; ++at) all.push_back(tensors[at]->detach());
        *sum = new Tensor(at::stack(at::_foreach_norm(all, 2)).square().sum());
    });
}

void packtrain_free_message(char* message) { free(message); }

}  // extern "C"
