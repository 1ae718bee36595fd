//! Attributes of expressions.

constants! {
    "Of `enum nft_immediate_attributes`.": u16;
    NFTA_IMMEDIATE_DREG = 1;
    NFTA_IMMEDIATE_DATA = 2;
}

constants! {
    "Of `enum nft_bitwise_attributes`.": u16;
    NFTA_BITWISE_SREG = 1;
    NFTA_BITWISE_DREG = 2;
    NFTA_BITWISE_LEN = 3;
    NFTA_BITWISE_MASK = 4;
    NFTA_BITWISE_XOR = 5;
    NFTA_BITWISE_OP = 6;
    NFTA_BITWISE_DATA = 7;
    NFTA_BITWISE_SREG2 = 8;
}

constants! {
    "Of `enum nft_byteorder_attributes`.": u16;
    NFTA_BYTEORDER_SREG = 1;
    NFTA_BYTEORDER_DREG = 2;
    NFTA_BYTEORDER_OP = 3;
    NFTA_BYTEORDER_LEN = 4;
    NFTA_BYTEORDER_SIZE = 5;
}

constants! {
    "Of `enum nft_cmp_attributes`.": u16;
    NFTA_CMP_SREG = 1;
    NFTA_CMP_OP = 2;
    NFTA_CMP_DATA = 3;
}

constants! {
    "Of `enum nft_range_attributes`.": u16;
    NFTA_RANGE_SREG = 1;
    NFTA_RANGE_OP = 2;
    NFTA_RANGE_FROM_DATA = 3;
    NFTA_RANGE_TO_DATA = 4;
}

constants! {
    "Of `enum nft_lookup_attributes`.": u16;
    NFTA_LOOKUP_SET = 1;
    NFTA_LOOKUP_SREG = 2;
    NFTA_LOOKUP_DREG = 3;
    NFTA_LOOKUP_SET_ID = 4;
    NFTA_LOOKUP_FLAGS = 5;
}

constants! {
    "Of `enum nft_dynset_attributes`.": u16;
    NFTA_DYNSET_SET_NAME = 1;
    NFTA_DYNSET_SET_ID = 2;
    NFTA_DYNSET_OP = 3;
    NFTA_DYNSET_SREG_KEY = 4;
    NFTA_DYNSET_SREG_DATA = 5;
    NFTA_DYNSET_TIMEOUT = 6;
    NFTA_DYNSET_EXPR = 7;
    NFTA_DYNSET_PAD = 8;
    NFTA_DYNSET_FLAGS = 9;
    NFTA_DYNSET_EXPRESSIONS = 10;
}

constants! {
    "Of `enum nft_payload_attributes`.": u16;
    NFTA_PAYLOAD_DREG = 1;
    NFTA_PAYLOAD_BASE = 2;
    NFTA_PAYLOAD_OFFSET = 3;
    NFTA_PAYLOAD_LEN = 4;
    NFTA_PAYLOAD_SREG = 5;
    NFTA_PAYLOAD_CSUM_TYPE = 6;
    NFTA_PAYLOAD_CSUM_OFFSET = 7;
    NFTA_PAYLOAD_CSUM_FLAGS = 8;
}

constants! {
    "Of `enum nft_exthdr_attributes`.": u16;
    NFTA_EXTHDR_DREG = 1;
    NFTA_EXTHDR_TYPE = 2;
    NFTA_EXTHDR_OFFSET = 3;
    NFTA_EXTHDR_LEN = 4;
    NFTA_EXTHDR_FLAGS = 5;
    NFTA_EXTHDR_OP = 6;
    NFTA_EXTHDR_SREG = 7;
}

constants! {
    "Of `enum nft_hash_attributes`.": u16;
    NFTA_HASH_SREG = 1;
    NFTA_HASH_DREG = 2;
    NFTA_HASH_LEN = 3;
    NFTA_HASH_MODULUS = 4;
    NFTA_HASH_SEED = 5;
    NFTA_HASH_OFFSET = 6;
    NFTA_HASH_TYPE = 7;
    NFTA_HASH_SET_NAME = 8;
    NFTA_HASH_SET_ID = 9;
}

constants! {
    "Of `enum nft_meta_attributes`.": u16;
    NFTA_META_DREG = 1;
    NFTA_META_KEY = 2;
    NFTA_META_SREG = 3;
}

constants! {
    "Of `enum nft_rt_attributes`.": u16;
    NFTA_RT_DREG = 1;
    NFTA_RT_KEY = 2;
}

constants! {
    "Of `enum nft_socket_attributes`.": u16;
    NFTA_SOCKET_KEY = 1;
    NFTA_SOCKET_DREG = 2;
    NFTA_SOCKET_LEVEL = 3;
}

constants! {
    "Of `enum nft_ct_attributes`.": u16;
    NFTA_CT_DREG = 1;
    NFTA_CT_KEY = 2;
    NFTA_CT_DIRECTION = 3;
    NFTA_CT_SREG = 4;
}

constants! {
    "Of `enum nft_offload_attributes`.": u16;
    NFTA_FLOW_TABLE_NAME = 1;
}

constants! {
    "Of `enum nft_limit_attributes`.": u16;
    NFTA_LIMIT_RATE = 1;
    NFTA_LIMIT_UNIT = 2;
    NFTA_LIMIT_BURST = 3;
    NFTA_LIMIT_TYPE = 4;
    NFTA_LIMIT_FLAGS = 5;
    NFTA_LIMIT_PAD = 6;
}

constants! {
    "Of `enum nft_connlimit_attributes`.": u16;
    NFTA_CONNLIMIT_COUNT = 1;
    NFTA_CONNLIMIT_FLAGS = 2;
}

constants! {
    "Of `enum nft_counter_attributes`.": u16;
    NFTA_COUNTER_BYTES = 1;
    NFTA_COUNTER_PACKETS = 2;
    NFTA_COUNTER_PAD = 3;
}

constants! {
    "Of `enum nft_last_attributes`.": u16;
    NFTA_LAST_SET = 1;
    NFTA_LAST_MSECS = 2;
    NFTA_LAST_PAD = 3;
}

constants! {
    "Of `enum nft_log_attributes`.": u16;
    NFTA_LOG_GROUP = 1;
    NFTA_LOG_PREFIX = 2;
    NFTA_LOG_SNAPLEN = 3;
    NFTA_LOG_QTHRESHOLD = 4;
    NFTA_LOG_LEVEL = 5;
    NFTA_LOG_FLAGS = 6;
}

constants! {
    "Of `enum nft_queue_attributes`.": u16;
    NFTA_QUEUE_NUM = 1;
    NFTA_QUEUE_TOTAL = 2;
    NFTA_QUEUE_FLAGS = 3;
    NFTA_QUEUE_SREG_QNUM = 4;
}

constants! {
    "Of `enum nft_quota_attributes`.": u16;
    NFTA_QUOTA_BYTES = 1;
    NFTA_QUOTA_FLAGS = 2;
    NFTA_QUOTA_PAD = 3;
    NFTA_QUOTA_CONSUMED = 4;
}

constants! {
    "Of `enum nft_reject_attributes`.": u16;
    NFTA_REJECT_TYPE = 1;
    NFTA_REJECT_ICMP_CODE = 2;
}

constants! {
    "Of `enum nft_nat_attributes`.": u16;
    NFTA_NAT_TYPE = 1;
    NFTA_NAT_FAMILY = 2;
    NFTA_NAT_REG_ADDR_MIN = 3;
    NFTA_NAT_REG_ADDR_MAX = 4;
    NFTA_NAT_REG_PROTO_MIN = 5;
    NFTA_NAT_REG_PROTO_MAX = 6;
    NFTA_NAT_FLAGS = 7;
}

constants! {
    "Of `enum nft_tproxy_attributes`.": u16;
    NFTA_TPROXY_FAMILY = 1;
    NFTA_TPROXY_REG_ADDR = 2;
    NFTA_TPROXY_REG_PORT = 3;
}

constants! {
    "Of `enum nft_masq_attributes`.": u16;
    NFTA_MASQ_FLAGS = 1;
    NFTA_MASQ_REG_PROTO_MIN = 2;
    NFTA_MASQ_REG_PROTO_MAX = 3;
}

constants! {
    "Of `enum nft_redir_attributes`.": u16;
    NFTA_REDIR_REG_PROTO_MIN = 1;
    NFTA_REDIR_REG_PROTO_MAX = 2;
    NFTA_REDIR_FLAGS = 3;
}

constants! {
    "Of `enum nft_dup_attributes`.": u16;
    NFTA_DUP_SREG_ADDR = 1;
    NFTA_DUP_SREG_DEV = 2;
}

constants! {
    "Of `enum nft_fwd_attributes`.": u16;
    NFTA_FWD_SREG_DEV = 1;
    NFTA_FWD_SREG_ADDR = 2;
    NFTA_FWD_NFPROTO = 3;
}

constants! {
    "Of `enum nft_objref_attributes`.": u16;
    NFTA_OBJREF_IMM_TYPE = 1;
    NFTA_OBJREF_IMM_NAME = 2;
    NFTA_OBJREF_SET_SREG = 3;
    NFTA_OBJREF_SET_NAME = 4;
    NFTA_OBJREF_SET_ID = 5;
}

constants! {
    "Of `enum nft_fib_attributes`.": u16;
    NFTA_FIB_DREG = 1;
    NFTA_FIB_RESULT = 2;
    NFTA_FIB_FLAGS = 3;
}

constants! {
    "Of `enum nft_ng_attributes`.": u16;
    NFTA_NG_DREG = 1;
    NFTA_NG_MODULUS = 2;
    NFTA_NG_TYPE = 3;
    NFTA_NG_OFFSET = 4;
    NFTA_NG_SET_NAME = 5;
    NFTA_NG_SET_ID = 6;
}
