"""The names that SGLang's memory pool imports: copies between GPU and host memory, which a CPU engine never makes."""

from __future__ import annotations

from .absent import absent

transfer_kv_all_layer = absent("transfer_kv_all_layer")
transfer_kv_all_layer_direct_lf_pf = absent("transfer_kv_all_layer_direct_lf_pf")
transfer_kv_all_layer_lf_pf = absent("transfer_kv_all_layer_lf_pf")
transfer_kv_all_layer_lf_ph = absent("transfer_kv_all_layer_lf_ph")
transfer_kv_all_layer_mla = absent("transfer_kv_all_layer_mla")
transfer_kv_all_layer_mla_lf_pf = absent("transfer_kv_all_layer_mla_lf_pf")
transfer_kv_direct = absent("transfer_kv_direct")
transfer_kv_per_layer = absent("transfer_kv_per_layer")
transfer_kv_per_layer_direct_pf_lf = absent("transfer_kv_per_layer_direct_pf_lf")
transfer_kv_per_layer_mla = absent("transfer_kv_per_layer_mla")
transfer_kv_per_layer_mla_pf_lf = absent("transfer_kv_per_layer_mla_pf_lf")
transfer_kv_per_layer_pf_lf = absent("transfer_kv_per_layer_pf_lf")
transfer_kv_per_layer_ph_lf = absent("transfer_kv_per_layer_ph_lf")
