# SPDX-License-Identifier: Apache-2.0
"""Names of torch's operations, grouped by what they do to tensors that depend on the input."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STRUCTURE = _words(
    """
    _conj alias as_strided atleast_1d atleast_2d atleast_3d bfloat16 broadcast_tensors broadcast_to channel_shuffle
    chunk conj conj_physical imag view_as_complex view_as_real
    clone contiguous copy data detach diag_embed diagonal double dropout dropout1d dropout2d dropout3d expand
    expand_as alpha_dropout feature_alpha_dropout feature_dropout flatten flip float gather getitem H half hsplit
    identity im2col index index_select mH mT masked_select matrix_H movedim moveaxis narrow native_channel_shuffle
    permute pixel_shuffle pixel_unshuffle positive ravel real repeat repeat_interleave requires_grad reshape
    reshape_as resolve_conj resolve_neg retain_grad roll rot90 select split split_with_sizes squeeze swapaxes swapdims
    t T take_along_dim tensor_split tile to transpose tril triu type type_as unbind unflatten unfold unsafe_chunk
    unsafe_split unsqueeze view view_as vsplit chunk diag trace
    """
)
"""Operations that move or copy numbers, or set some to zero; one argument depends on the input, others are indices."""

SUMS = _words(
    """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d col2im cumsum fold
    grid_sampler mean nanmean nansum neg negative sum upsample_bicubic2d upsample_bilinear2d upsample_linear1d
    fft_fft fft_fft2 fft_fftn fft_fftshift fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_irfft
    fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn istft stft upsample_nearest1d upsample_nearest2d
    upsample_nearest3d upsample_trilinear3d _upsample_bilinear2d_aa
    _upsample_bicubic2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
    """
)
"""Linear operations without a constant: averages, sums, interpolation, Fourier transforms."""

JOINS = _words(
    """
    add cat column_stack complex concat concatenate constant_pad_nd dstack fill hstack index_add index_copy index_fill
    index_put masked_fill masked_scatter pad rsub scatter scatter_add setitem slice_scatter select_scatter stack sub
    subtract vstack where zero
    """
)
"""Linear operations of all tensors that depend on the input, with constants: a + c, [a, c], a where m else c."""

WEIGHTED = _words(
    """
    addmm bilinear bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d einsum linear matmul mm
    mv dot inner outer tensordot
    """
)
"""Sums of products; linear where only one operand depends on the input."""

POOLS = frozenset(
    ["max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"]
)

RECTIFIERS = _words("relu relu6")

PIECEWISE_LINEAR = RECTIFIERS | _words(
    """
    abs absolute clamp clamp_max clamp_min clip hardshrink hardsigmoid hardswish hardtanh leaky_relu prelu rrelu
    softshrink threshold
    """
)
"""Elementwise functions that are piecewise linear (or nearly)."""

SMOOTH = _words(
    """
    celu elu erf gelu log_sigmoid mish selu sigmoid silu softplus tanh
    """
)
"""Smooth elementwise activations."""

CURVES = _words(
    """
    acos arcsin arctan asin atan cos cosh erfc exp exp2 expm1 log log10 log1p log2 pow reciprocal rpow rsqrt sin sinh
    sqrt square tan
    """
)
"""Other smooth elementwise functions."""

QUERIES = _words(
    """
    item tolist numpy shape size dim ndim numel dtype device layout is_floating_point requires_grad grad is_leaf
    stride storage_offset data_ptr is_contiguous is_nested is_sparse is_cuda is_quantized is_mkldnn nelement
    element_size get_device grad_fn output_nr names register_hook len format repr str hash
    untyped_storage is_complex _version is_meta result_type can_cast zeros_like ones_like full_like empty_like
    new_zeros new_ones new_full new_empty new_tensor set as_bool as_complex as_float as_index as_int
    """
)
"""Queries of a tensor, and attributes that are set: nothing of them is a tensor that depends on the input."""
