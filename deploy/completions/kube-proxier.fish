# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kube_proxier_global_optspecs
    string join \n config= cleanup= init-only= write-config-to= layout= remove-foreign-servers= service-metrics-limit= hostname-override= oom-score-adj= feature-gates= kubeconfig= master= proxy-mode= cluster-cidr= detect-local-mode= pod-bridge-interface= pod-interface-name-prefix= masquerade-all= iptables-masquerade-bit= nodeport-addresses= iptables-localhost-nodeports= iptables-sync-period= iptables-min-sync-period= ipvs-scheduler= ipvs-sync-period= ipvs-min-sync-period= ipvs-exclude-cidrs= ipvs-strict-arp= ipvs-tcp-timeout= ipvs-tcpfin-timeout= ipvs-udp-timeout= conntrack-max-per-core= conntrack-min= conntrack-tcp-timeout-established= conntrack-tcp-timeout-close-wait= conntrack-tcp-be-liberal= conntrack-udp-timeout= conntrack-udp-timeout-stream= healthz-bind-address= metrics-bind-address= bind-address= healthz-port= metrics-port= bind-address-hard-fail= v/v= logging-format= proxy-port-range= udp-timeout= resource-container= cleanup-ipvs= config-sync-period= kube-api-burst= kube-api-content-type= kube-api-qps= profiling= show-hidden-metrics-for-version= add-dir-header= alsologtostderr= log-backtrace-at= log-dir= log-file= log-file-max-size= log-flush-frequency= log-json-info-buffer-size= log-json-split-stream= log-text-info-buffer-size= log-text-split-stream= logtostderr= one-output= skip-headers= skip-log-headers= stderrthreshold= vmodule= allow-dynamic-housekeeping= application-metrics-count-limit= boot-id-file= container-hints= containerd= containerd-env-metadata-whitelist= containerd-namespace= disable-root-cgroup-stats= docker= docker-env-metadata-whitelist= docker-only= docker-root= docker-tls= docker-tls-ca= docker-tls-cert= docker-tls-key= enable-load-reader= event-storage-age-limit= event-storage-event-limit= global-housekeeping-interval= housekeeping-interval= log-cadvisor-usage= machine-id-file= max-housekeeping-interval= referenced-reset-interval= storage-driver-buffer-duration= storage-driver-db= storage-driver-host= storage-driver-password= storage-driver-secure= storage-driver-table= storage-driver-user= update-machine-info-interval= azure-container-registry-config= cloud-provider-gce-l7lb-src-cidrs= cloud-provider-gce-lb-src-cidrs= default-not-ready-toleration-seconds= default-unreachable-toleration-seconds= h/help V/version
end

function __fish_kube_proxier_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kube_proxier_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kube_proxier_using_subcommand
    set -l cmd (__fish_kube_proxier_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l config -d 'Read this KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), and follow its changes: it is read again every 3s [default: none]' -r -F
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l cleanup -d 'Remove all that is the proxy\'s from this machine\'s kernel, and exit; stop the daemon first [default: false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l init-only -d 'Load IPVS, write the kernel settings, make the link kube-ipvs0, and exit; after that CAP_NET_ADMIN and CAP_NET_RAW are enough to run [default: false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l write-config-to -d 'Write the configuration that would be followed to this file, as YAML, defaults included, and exit [default: none]' -r -F
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l layout -d 'Which kernel state to program: current, the chains and sets of kube-proxy v1.36; classic, those of v1.20 and before; nftables, a table of nf_tables and routing by mark, without iptables and ipset; or auto: current where its tools or its state are there, else nftables. Overrules the field ipvs.layout [default: auto]' -r -f -a "auto\t'What suits the machine'
current\t'[`Layout::Current`]'
classic\t'[`Layout::Classic`]'
nftables\t'[`Layout::Nftables`]'"
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l remove-foreign-servers -d 'Remove virtual servers that are not recognized as this proxy\'s, as kube-proxy does, unless ipvs.excludeCIDRs has their addresses [default: false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l service-metrics-limit -d 'Show the traffic of so many Service ports one by one in /metrics, ten series each. Where there are more, those with traffic are shown, and what is left is summed up [default: 200]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l hostname-override -d 'The name of this machine\'s Node [default: the host name]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l oom-score-adj -d 'How readily the kernel is to kill this process when memory runs out, from -1000 to 1000 [default: -999]. Ignored with --config' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l feature-gates -d 'Features to switch on and off, as A=true,B=false; repeatable [default: none]. Any name is taken, none changes anything: SupportIPVSProxyMode is always on. Ignored with --config' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l kubeconfig -d 'How to reach the API, and as whom [default: the service account of the pod that this runs in, unless there is a --master]. Ignored with --config' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l master -d 'The URL of the API server, which overrides the kubeconfig\'s [default: the kubeconfig\'s]. Without a kubeconfig requests carry no credentials, not even those of a service account' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l proxy-mode -d 'The proxy mode: ipvs, or iptables, which also stands in where ipvs cannot run [default: the environment\'s KUBE_PROXY_MODE, else its KUBEPROXY_MODE, else ipvs]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l cluster-cidr -d 'The networks of the cluster\'s pods, one of each family: what comes from elsewhere to a cluster IP is masqueraded [default: none]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l detect-local-mode -d 'How traffic from this node\'s own pods is recognized: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix [default: ClusterCIDR]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l pod-bridge-interface -d 'The bridge of this node\'s pods, for BridgeInterface [default: none]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l pod-interface-name-prefix -d 'How the names of the links of this node\'s pods begin, for InterfaceNamePrefix [default: none]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l masquerade-all -d 'Masquerade all that goes to cluster IPs [default: false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l iptables-masquerade-bit -d 'Which bit of the packet mark asks for masquerading, from 0 to 31 [default: 14]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l nodeport-addresses -d 'Serve node ports on the node\'s addresses inside these networks, or on the Node\'s own with primary; repeatable [default: on all]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l iptables-localhost-nodeports -d 'Serve node ports at IPv4 loopback addresses of the node too: in iptables mode unless this is false, in layout nftables of ipvs mode if this is true. It sets route_localnet=1, and a rule keeps packets from elsewhere away from these addresses [default: true in iptables mode, else false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l iptables-sync-period -d 'How often everything is compared with the kernel in iptables mode, to repair what others changed: a duration over 0 [default: 30s]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l iptables-min-sync-period -d 'The shortest time between two syncs in iptables mode, during which changes are gathered, but for the first one after twice this time without any: a duration up to the sync period [default: 1s]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-scheduler -d 'The scheduler of every virtual server: rr, wrr, lc, wlc, sh, mh, … [default: rr]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-sync-period -d 'How often everything is compared with the kernel, to repair what others changed: a duration over 0 [default: 30s]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-min-sync-period -d 'The shortest time between two syncs, during which changes are gathered, but for the first one after twice this time without any: a duration up to the sync period [default: 1s]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-exclude-cidrs -d 'Never remove virtual servers at addresses in these networks. Others are removed if they are this proxy\'s and no Service wants them, or with --remove-foreign-servers. Repeatable [default: none]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-strict-arp -d 'Answer ARP only for addresses of the link asked on (arp_ignore=1, arp_announce=2) [default: false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-tcp-timeout -d 'How long IPVS keeps an idle TCP connection: a duration, in whole seconds [default: 0s: the kernel\'s setting]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-tcpfin-timeout -d 'The same after a FIN: a duration, in whole seconds [default: 0s: the kernel\'s setting]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l ipvs-udp-timeout -d 'The same for UDP: a duration, in whole seconds [default: 0s: the kernel\'s setting]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l conntrack-max-per-core -d 'How many connections the node may track for each processor, 1048576 in all at most, unless --conntrack-min is more; the node\'s limit is only ever raised. 0 leaves it as it is, even with --conntrack-min [default: 32768]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l conntrack-min -d 'How many connections the node may track at least, however few processors it has [default: 131072]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l conntrack-tcp-timeout-established -d 'How long an idle TCP connection is tracked: a duration, in whole seconds; 0 keeps the kernel\'s setting [default: 24h]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l conntrack-tcp-timeout-close-wait -d 'The same for one in CLOSE_WAIT: a duration, in whole seconds; 0 keeps the kernel\'s setting [default: 1h]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l conntrack-tcp-be-liberal -d 'Let TCP packets outside the window pass (nf_conntrack_tcp_be_liberal=1) [default: false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l conntrack-udp-timeout -d 'How long UDP without a reply is tracked: a duration, in whole seconds [default: 0s: the kernel\'s setting]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l conntrack-udp-timeout-stream -d 'The same for UDP with a reply: a duration, in whole seconds [default: 0s: the kernel\'s setting]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l healthz-bind-address -d 'Serve /healthz and /livez on this address. An empty one turns them off; the default port is 10256 [default: 0.0.0.0:10256]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l metrics-bind-address -d 'Serve /metrics and /proxyMode on this address. An empty one turns them off; the default port is 10249 [default: 127.0.0.1:10249]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l bind-address -d 'The family of the two addresses above if they are not set: with an IPv6 address here they are [::] and [::1] [default: 0.0.0.0]. The node\'s own addresses are those of its Node object' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l healthz-port -d 'The port of --healthz-bind-address where that has none; 0 for no server [default: none]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l metrics-port -d 'The port of --metrics-bind-address where that has none; 0 for no server [default: none]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l bind-address-hard-fail -d 'Exit if one of these addresses cannot be served on, instead of trying again every 5s [default: false]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -s v -l v -d 'How much is logged: 0 to 3, events; 4 and 5, every step of every sync; 6 and more, the libraries\' steps too. RUST_LOG, if set, wins [default: 0]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l logging-format -l log-format -d 'The form of log lines, on stderr: text or json [default: text]' -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l proxy-port-range -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l udp-timeout -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l resource-container -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l cleanup-ipvs -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l config-sync-period -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l kube-api-burst -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l kube-api-content-type -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l kube-api-qps -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l profiling -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l show-hidden-metrics-for-version -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l add-dir-header -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l alsologtostderr -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-backtrace-at -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-dir -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-file -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-file-max-size -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-flush-frequency -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-json-info-buffer-size -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-json-split-stream -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-text-info-buffer-size -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-text-split-stream -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l logtostderr -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l one-output -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l skip-headers -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l skip-log-headers -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l stderrthreshold -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l vmodule -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l allow-dynamic-housekeeping -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l application-metrics-count-limit -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l boot-id-file -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l container-hints -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l containerd -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l containerd-env-metadata-whitelist -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l containerd-namespace -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l disable-root-cgroup-stats -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker-env-metadata-whitelist -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker-only -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker-root -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker-tls -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker-tls-ca -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker-tls-cert -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l docker-tls-key -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l enable-load-reader -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l event-storage-age-limit -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l event-storage-event-limit -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l global-housekeeping-interval -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l housekeeping-interval -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l log-cadvisor-usage -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l machine-id-file -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l max-housekeeping-interval -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l referenced-reset-interval -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l storage-driver-buffer-duration -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l storage-driver-db -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l storage-driver-host -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l storage-driver-password -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l storage-driver-secure -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l storage-driver-table -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l storage-driver-user -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l update-machine-info-interval -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l azure-container-registry-config -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l cloud-provider-gce-l7lb-src-cidrs -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l cloud-provider-gce-lb-src-cidrs -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l default-not-ready-toleration-seconds -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -l default-unreachable-toleration-seconds -r
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -s V -l version -d 'Print version'
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -f -a "doctor" -d 'Check whether ipvs mode can run on this machine, and print what to do if it cannot'
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -f -a "explain" -d 'Explain why a Service, or an address and port, is served on this node, or not'
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -f -a "top" -d 'Show the busiest Services and endpoints of this node, again and again'
complete -c kube-proxier -n "__fish_kube_proxier_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand doctor" -l output -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand explain" -l from -d 'Explain the traffic of this client alone [default: that of pods, of this node and from outside]' -r
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand explain" -l manifests -d 'Read Services, EndpointSlices and Nodes from this file, as kubectl get -A -o yaml prints them, and not from the API server [default: none]' -r -F
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand explain" -l output -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -l interval -d 'How often it is shown: a duration of 100ms at least [default: 1s]' -r
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -l sort -d 'By what to sort: connections, packets or bytes per second, active connections, or the name [default: bytes]' -r -f -a "connections\t'Connections per second'
packets\t'Packets per second, both ways'
bytes\t'Bytes per second, both ways'
active\t'Active connections'
name\t'The name'"
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -l namespace -d 'Show the Services of this namespace alone [default: all, and what no Service has]' -r
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -l rows -d 'Show no more than so many Services, and so many endpoints [default: those that fit the terminal; elsewhere 20, in JSON all]' -r
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -l manifests -d 'Read Services, EndpointSlices and Nodes from this file, as kubectl get -A -o yaml prints them, and not from the API server [default: none]' -r -F
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -l output -d 'What is printed: text, or an object of JSON in each line' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -l once -d 'Show it once, and exit [default: false]'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand help; and not __fish_seen_subcommand_from doctor explain top help" -f -a "doctor" -d 'Check whether ipvs mode can run on this machine, and print what to do if it cannot'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand help; and not __fish_seen_subcommand_from doctor explain top help" -f -a "explain" -d 'Explain why a Service, or an address and port, is served on this node, or not'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand help; and not __fish_seen_subcommand_from doctor explain top help" -f -a "top" -d 'Show the busiest Services and endpoints of this node, again and again'
complete -c kube-proxier -n "__fish_kube_proxier_using_subcommand help; and not __fish_seen_subcommand_from doctor explain top help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
