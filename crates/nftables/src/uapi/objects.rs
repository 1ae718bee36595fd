//! Attributes of tables, chains, rules, sets, elements and objects.

constants! {
    "Of `enum nft_list_attributes`.": u16;
    NFTA_LIST_ELEM = 1;
}

constants! {
    "Of `enum nft_hook_attributes`.": u16;
    NFTA_HOOK_HOOKNUM = 1;
    NFTA_HOOK_PRIORITY = 2;
    NFTA_HOOK_DEV = 3;
    NFTA_HOOK_DEVS = 4;
}

constants! {
    "Of `enum nft_table_attributes`.": u16;
    NFTA_TABLE_NAME = 1;
    NFTA_TABLE_FLAGS = 2;
    NFTA_TABLE_USE = 3;
    NFTA_TABLE_HANDLE = 4;
    NFTA_TABLE_PAD = 5;
    NFTA_TABLE_USERDATA = 6;
    NFTA_TABLE_OWNER = 7;
}

constants! {
    "Of `enum nft_chain_attributes`.": u16;
    NFTA_CHAIN_TABLE = 1;
    NFTA_CHAIN_HANDLE = 2;
    NFTA_CHAIN_NAME = 3;
    NFTA_CHAIN_HOOK = 4;
    NFTA_CHAIN_POLICY = 5;
    NFTA_CHAIN_USE = 6;
    NFTA_CHAIN_TYPE = 7;
    NFTA_CHAIN_COUNTERS = 8;
    NFTA_CHAIN_PAD = 9;
    NFTA_CHAIN_FLAGS = 10;
    NFTA_CHAIN_ID = 11;
    NFTA_CHAIN_USERDATA = 12;
}

constants! {
    "Of `enum nft_rule_attributes`.": u16;
    NFTA_RULE_TABLE = 1;
    NFTA_RULE_CHAIN = 2;
    NFTA_RULE_HANDLE = 3;
    NFTA_RULE_EXPRESSIONS = 4;
    NFTA_RULE_COMPAT = 5;
    NFTA_RULE_POSITION = 6;
    NFTA_RULE_USERDATA = 7;
    NFTA_RULE_PAD = 8;
    NFTA_RULE_ID = 9;
    NFTA_RULE_POSITION_ID = 10;
    NFTA_RULE_CHAIN_ID = 11;
}

constants! {
    "Of `enum nft_rule_compat_attributes`.": u16;
    NFTA_RULE_COMPAT_PROTO = 1;
    NFTA_RULE_COMPAT_FLAGS = 2;
}

constants! {
    "Of `enum nft_set_desc_attributes`.": u16;
    NFTA_SET_DESC_SIZE = 1;
    NFTA_SET_DESC_CONCAT = 2;
}

constants! {
    "Of `enum nft_set_field_attributes`.": u16;
    NFTA_SET_FIELD_LEN = 1;
}

constants! {
    "Of `enum nft_set_attributes`.": u16;
    NFTA_SET_TABLE = 1;
    NFTA_SET_NAME = 2;
    NFTA_SET_FLAGS = 3;
    NFTA_SET_KEY_TYPE = 4;
    NFTA_SET_KEY_LEN = 5;
    NFTA_SET_DATA_TYPE = 6;
    NFTA_SET_DATA_LEN = 7;
    NFTA_SET_POLICY = 8;
    NFTA_SET_DESC = 9;
    NFTA_SET_ID = 10;
    NFTA_SET_TIMEOUT = 11;
    NFTA_SET_GC_INTERVAL = 12;
    NFTA_SET_USERDATA = 13;
    NFTA_SET_PAD = 14;
    NFTA_SET_OBJ_TYPE = 15;
    NFTA_SET_HANDLE = 16;
    NFTA_SET_EXPR = 17;
    NFTA_SET_EXPRESSIONS = 18;
    NFTA_SET_TYPE = 19;
    NFTA_SET_COUNT = 20;
}

constants! {
    "Of `enum nft_set_elem_attributes`.": u16;
    NFTA_SET_ELEM_KEY = 1;
    NFTA_SET_ELEM_DATA = 2;
    NFTA_SET_ELEM_FLAGS = 3;
    NFTA_SET_ELEM_TIMEOUT = 4;
    NFTA_SET_ELEM_EXPIRATION = 5;
    NFTA_SET_ELEM_USERDATA = 6;
    NFTA_SET_ELEM_EXPR = 7;
    NFTA_SET_ELEM_PAD = 8;
    NFTA_SET_ELEM_OBJREF = 9;
    NFTA_SET_ELEM_KEY_END = 10;
    NFTA_SET_ELEM_EXPRESSIONS = 11;
}

constants! {
    "Of `enum nft_set_elem_list_attributes`.": u16;
    NFTA_SET_ELEM_LIST_TABLE = 1;
    NFTA_SET_ELEM_LIST_SET = 2;
    NFTA_SET_ELEM_LIST_ELEMENTS = 3;
    NFTA_SET_ELEM_LIST_SET_ID = 4;
}

constants! {
    "Of `enum nft_data_attributes`.": u16;
    NFTA_DATA_VALUE = 1;
    NFTA_DATA_VERDICT = 2;
}

constants! {
    "Of `enum nft_verdict_attributes`.": u16;
    NFTA_VERDICT_CODE = 1;
    NFTA_VERDICT_CHAIN = 2;
    NFTA_VERDICT_CHAIN_ID = 3;
}

constants! {
    "Of `enum nft_expr_attributes`.": u16;
    NFTA_EXPR_NAME = 1;
    NFTA_EXPR_DATA = 2;
}

constants! {
    "Of `enum nft_gen_attributes`.": u16;
    NFTA_GEN_ID = 1;
    NFTA_GEN_PROC_PID = 2;
    NFTA_GEN_PROC_NAME = 3;
}

constants! {
    "Of `enum nft_object_attributes`.": u16;
    NFTA_OBJ_TABLE = 1;
    NFTA_OBJ_NAME = 2;
    NFTA_OBJ_TYPE = 3;
    NFTA_OBJ_DATA = 4;
    NFTA_OBJ_USE = 5;
    NFTA_OBJ_HANDLE = 6;
    NFTA_OBJ_PAD = 7;
    NFTA_OBJ_USERDATA = 8;
}

constants! {
    "Of `enum nft_flowtable_attributes`.": u16;
    NFTA_FLOWTABLE_TABLE = 1;
    NFTA_FLOWTABLE_NAME = 2;
    NFTA_FLOWTABLE_HOOK = 3;
    NFTA_FLOWTABLE_USE = 4;
    NFTA_FLOWTABLE_HANDLE = 5;
    NFTA_FLOWTABLE_PAD = 6;
    NFTA_FLOWTABLE_FLAGS = 7;
}

constants! {
    "Of `enum nft_flowtable_hook_attributes`.": u16;
    NFTA_FLOWTABLE_HOOK_NUM = 1;
    NFTA_FLOWTABLE_HOOK_PRIORITY = 2;
    NFTA_FLOWTABLE_HOOK_DEVS = 3;
}

constants! {
    "Of `enum nft_devices_attributes`.": u16;
    NFTA_DEVICE_NAME = 1;
}
